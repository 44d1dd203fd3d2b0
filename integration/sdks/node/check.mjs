// What people do with batches, with the official SDK as it comes from npm. Each check
// is a line of the output; the exit code is 1 if one failed.
//
//   node check.mjs PART      one of the parts below; the rest is in the environment

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import OpenAI, { toFile } from "openai";

const env = process.env;
const client = (apiKey, baseURL = env.TIDEGATE_BASE) => new OpenAI({ apiKey, baseURL });
const openai = client(env.TIDEGATE_KEY);

let failed = 0;

async function check(name, work) {
  try {
    await work();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error?.stack ?? error}`);
  }
}

function lines(n) {
  const all = [];
  for (let i = 0; i < n; i++) {
    const messages = [{ role: "user", content: `Summarise document ${i}: the tide gate closes when the water rises.` }];
    all.push(JSON.stringify({ custom_id: `n-${i}`, method: "POST", url: "/v1/chat/completions", body: { model: "auto", messages } }) + "\n");
  }
  return all.join("");
}

const upload = async (n, sender = openai) =>
  sender.files.create({ file: await toFile(Buffer.from(lines(n)), "in.jsonl"), purpose: "batch" });

const order = (file, sender = openai, options = {}) =>
  sender.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" }, options);

const final = ["completed", "failed", "expired", "cancelled"];

async function poll(id, wanted, sender = openai) {
  for (const until = Date.now() + 120_000; Date.now() < until; await new Promise((wake) => setTimeout(wake, 200))) {
    const batch = await sender.batches.retrieve(id);
    if (batch.status === wanted) return batch;
    assert(!final.includes(batch.status), `it ended as ${JSON.stringify(batch)}`);
  }
  assert.fail(`it is not ${wanted} after two minutes`);
}

async function read(id) {
  const text = await (await openai.files.content(id)).text();
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}

// refused wants an error of a class of the SDK, told in full.
async function refused(kind, status, wanted, work) {
  const error = await work().then(
    (got) => assert.fail(`it was not refused: ${JSON.stringify(got)}`),
    (error) => error,
  );
  assert(error instanceof kind && error instanceof OpenAI.APIError, `it is ${error?.stack ?? error}`);
  assert.equal(error.status, status);
  if (status === 409) assert.equal(error.headers.get("x-should-retry"), "false");
  assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
  assert(error.error.message && error.type && error.requestID, `it says ${JSON.stringify(error.error)}`);
  for (const [name, value] of Object.entries(wanted)) assert.equal(error[name], value, name);
}

async function uploads() {
  const text = lines(12);
  await check("a file from a stream of the disk", async () => {
    const name = path.join(os.tmpdir(), `tidegate-sdks-${process.pid}.jsonl`);
    fs.writeFileSync(name, text);
    try {
      const file = await openai.files.create({ file: fs.createReadStream(name), purpose: "batch" });
      assert.equal(file.bytes, Buffer.byteLength(text));
      assert.equal(file.filename, path.basename(name));
      await whole(file, 12);
    } finally {
      fs.rmSync(name);
    }
  });
  await check("a file from a buffer", async () => {
    const file = await upload(12);
    assert.deepEqual([file.bytes, file.filename, file.purpose, file.object], [Buffer.byteLength(text), "in.jsonl", "batch", "file"]);
    assert.equal(await (await openai.files.content(file.id)).text(), text);
    await whole(file, 12);
  });
}

// whole takes a file through all that comes after.
async function whole(file, n) {
  assert.equal((await openai.files.waitForProcessing(file.id)).status, "processed");
  const begun = await order(file);
  assert(["validating", "in_progress"].includes(begun.status), begun.status);
  const batch = await poll(begun.id, "completed");
  assert.deepEqual(batch.request_counts, { total: n, completed: n, failed: 0 });
  assert.equal(batch.error_file_id, null);
  assert(batch.usage.total_tokens > 0 && batch.completed_at >= batch.created_at, JSON.stringify(batch));
  const output = await read(batch.output_file_id);
  assert.deepEqual(output.map((line) => line.custom_id).sort(), Array.from({ length: n }, (_, i) => `n-${i}`).sort());
  for (const line of output) {
    assert.equal(line.response.status_code, 200);
    assert(line.response.body.choices[0].message.content);
  }
  assert.deepEqual(await openai.files.delete(file.id), { id: file.id, object: "file", deleted: true });
  await refused(OpenAI.NotFoundError, 404, { param: "id" }, () => openai.files.retrieve(file.id));
}

async function lists() {
  const lister = client(env.TIDEGATE_LISTER);
  await check("all pages of lists", async () => {
    const files = [];
    const batches = [];
    for (let i = 0; i < 5; i++) {
      files.push(await upload(1, lister));
      batches.push(await order(files[i], lister));
    }
    const ids = (all) => all.map((one) => one.id);
    assert.deepEqual(ids(await collect(lister.files.list({ limit: 2, order: "asc", purpose: "batch" }))), ids(files));
    assert.deepEqual(ids(await collect(lister.batches.list({ limit: 2 }))), ids(batches).reverse());
    const first = await lister.batches.list({ limit: 2 });
    assert.deepEqual([first.data.length, first.has_more, first.hasNextPage()], [2, true, true]);
  });
}

// cancelling finds the route paused, so that what is cancelled has not ended.
async function cancelling() {
  await check("cancel", async () => {
    const batch = await order(await upload(300));
    await poll(batch.id, "in_progress");
    assert.equal((await openai.batches.cancel(batch.id)).status, "cancelling");
    const ended = await poll(batch.id, "cancelled");
    assert.deepEqual(ended.request_counts, { total: 300, completed: 0, failed: 300 });
    assert.equal(ended.output_file_id, null);
    const faults = await read(ended.error_file_id);
    assert.equal(faults.length, 300);
    for (const line of faults) assert.equal(line.error.code, "batch_cancelled");
    assert.equal((await openai.batches.cancel(batch.id)).status, "cancelled");
  });
}

async function errors() {
  const file = await upload(2);
  const batch = await order(file);
  await check("BadRequestError of a field", () =>
    refused(OpenAI.BadRequestError, 400, { param: "endpoint" }, () =>
      openai.batches.create({ input_file_id: file.id, endpoint: "/v1/nothing", completion_window: "24h" })));
  await check("BadRequestError of an upload", () =>
    refused(OpenAI.BadRequestError, 400, { param: "purpose", code: "invalid_value" }, async () =>
      openai.files.create({ file: await toFile(Buffer.from("{}"), "a"), purpose: "fine-tune" })));
  for (const [name, key] of Object.entries({ "that is none": "no-such-key", "that was revoked": env.TIDEGATE_REVOKED })) {
    await check(`AuthenticationError with a key ${name}`, () =>
      refused(OpenAI.AuthenticationError, 401, {}, () => client(key).batches.retrieve(batch.id)));
  }
  await check("PermissionDeniedError with a key that may only read", async () => {
    const reader = client(env.TIDEGATE_READER);
    assert.equal((await reader.batches.retrieve(batch.id)).id, batch.id);
    await refused(OpenAI.PermissionDeniedError, 403, {}, () => order(file, reader));
  });
  await check("NotFoundError of what is another tenant's", async () => {
    const other = client(env.TIDEGATE_LISTER);
    for (const ask of [other.batches.retrieve, other.batches.cancel]) {
      await refused(OpenAI.NotFoundError, 404, { param: "id" }, () => ask.call(other.batches, batch.id));
    }
    for (const ask of [other.files.retrieve, other.files.content, other.files.delete]) {
      await refused(OpenAI.NotFoundError, 404, { param: "id" }, () => ask.call(other.files, file.id));
    }
    await refused(OpenAI.BadRequestError, 400, { param: "input_file_id" }, () => order(file, other));
  });
  await check("ConflictError of a batch that has ended", async () => {
    await poll(batch.id, "completed");
    await refused(OpenAI.ConflictError, 409, { code: "batch_not_cancellable" }, () => openai.batches.cancel(batch.id));
  });
  await check("ConflictError of a key of idempotency that was used", async () => {
    const options = { headers: { "Idempotency-Key": "monday" } };
    const first = await order(file, openai, options);
    assert.equal((await order(file, openai, options)).id, first.id);
    await refused(OpenAI.ConflictError, 409, { code: "idempotency_key_reused" }, () =>
      openai.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "1h" }, options));
  });
}

// repeated comes through a proxy that cuts off the first create.
async function repeated() {
  await check("a create whose answer was lost", async () => {
    const through = client(env.TIDEGATE_CUT_KEY, env.TIDEGATE_CUT_BASE);
    const file = await upload(3, through);
    const batch = await order(file, through);
    const all = await collect(through.batches.list());
    assert.deepEqual(all.map((one) => one.id), [batch.id]);
    await poll(batch.id, "completed", through);
  });
}

const parts = { uploads, lists, errors, cancelling, repeated };
const part = parts[process.argv[2]];
assert(part, `there are the parts ${Object.keys(parts)}`);
await part();
process.exitCode = failed ? 1 : 0;
