package integration

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app/config"
	"tidegate/integration/bench"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// What a process may have in memory at most, whatever is sent: the server while all its
// places are taken by whoever fills them best, the worker while it checks the worst
// lines that there are, in as many batches as it takes at once.
const (
	mostServerMB = 800
	mostWorkerMB = 400
)

// TestMemoryUnderAttack: the built program, without the race detector, keeps its bounds
// of memory, and serves those who mean it well when it is over.
func TestMemoryUnderAttack(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"a line of a gigabyte", s.gigabyteLine},
		{"everything at once", s.everything},
		{"lines that are hard to read", s.hardLines},
		{"and then somebody who means it well", s.goodBatch},
	} {
		step.do()
		server, worker := bench.PeakMB(s.server.cmd.Process.Pid), bench.PeakMB(s.worker.cmd.Process.Pid)
		t.Logf("%s: the server had at most %.0f MB, the worker %.0f MB", step.name, server, worker)
		if server == 0 || server > mostServerMB || worker == 0 || worker > mostWorkerMB {
			t.Fatalf("%s: the server had %.0f MB, the worker %.0f MB", step.name, server, worker)
		}
	}
}

// A siege is a front whose server and worker are processes, before a Postgres on disk.
type siege struct {
	*killing
	server *process
	worker *hand
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	f := newFleet(t, plain.program(t), staging{postgres: newServer(t).URL(), config: func(c *config.Config) { c.Batches.MaxBytes = 2 << 30 }})
	f.timing = "" // it is busy
	s := &siege{killing: &killing{front: &front{stage: f.stage}, fleet: f}}
	s.server, s.worker = s.serve(), f.hire()
	return s
}

// fails waits until the lines of a batch were found to be wrong.
func (s *siege) fails(batchID string) {
	s.Helper()
	batch := s.poll(s.client(), batchID, openai.BatchStatusFailed)
	if faults := batch.Errors.Data; len(faults) != 1 || !strings.Contains(faults[0].Message, fmt.Sprintf("at most %d", jobs.MaxLineBytes)) {
		s.Errorf("it fails as %s", batch.RawJSON())
	}
}

// batchOf makes a batch of a file of which nobody knows the length, and of which nobody
// here has more in memory than is just sent: an SDK would have all of it.
func (s *siege) batchOf(content io.Reader) (id string) {
	s.Helper()
	const part = "--b\r\nContent-Disposition: form-data; name="
	form := io.MultiReader(strings.NewReader(part+"\"purpose\"\r\n\r\nbatch\r\n"+part+"\"file\"; filename=\"in.jsonl\"\r\n\r\n"), content, strings.NewReader("\r\n--b--\r\n"))
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.base+"/files", form)
	check(s.T, err)
	request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	answer, err := http.DefaultClient.Do(request)
	check(s.T, err)
	defer answer.Body.Close()
	var made openai.FileObject
	check(s.T, json.NewDecoder(answer.Body).Decode(&made))
	return s.order(s.client(), made.ID).ID
}

func (s *siege) gigabyteLine() {
	s.fails(s.batchOf(io.LimitReader(endless('x'), 1<<30)))
}

// endless is one letter without an end.
type endless byte

// Read has the race detector look away: it would count every byte of a gigabyte.
//
//go:norace
func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// everything takes all places of the server at once, the dearest first, each with as
// much as it can hold of it, and looks whether it is still told from a dead one.
func (s *siege) everything() {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, err := io.Copy(zip, io.LimitReader(endless(0), 1<<20))
	check(s.T, err)
	check(s.T, zip.Close())
	bomb := bytes.Repeat(zipped.Bytes(), 100) // what is unzipped is that of all parts
	const form, object = "Content-Type: multipart/form-data; boundary=b\r\n", "Content-Type: application/json\r\n"
	file := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", 3<<20)
	rest := "\r\n--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n"
	many := `{"jobs":[` + strings.Repeat(`{"body":{"messages":[{"role":"user","content":"`+strings.Repeat("x", 1<<20)+`"}]}},`, 60)
	metadata := func(bytes int) string { return `{"metadata":{"a":"` + strings.Repeat("x", bytes) }
	got := s.storm([]wave{
		{"bomb", 30, attacker{path: "/files", head: form + "Content-Encoding: gzip\r\n", body: bomb, end: rest, want: http.StatusUnsupportedMediaType}},
		{"upload", 40, attacker{path: "/files", head: form, body: []byte(file), end: rest, want: http.StatusOK}},
		{"many", 4, attacker{path: "/jobs:batch", head: object, body: []byte(many), end: `{}]}`, want: http.StatusBadRequest}},
		{"batch", 150, attacker{path: "/batches", head: object, body: []byte(metadata(1020 << 10)), end: `"}}`, want: http.StatusBadRequest}},
		{"small batch", 600, attacker{path: "/batches", head: object, body: []byte(metadata(60 << 10)), end: `"}}`, want: http.StatusBadRequest}},
	})
	for _, must := range []string{"upload 200", "upload 503", "many 400", "many 503", "bomb 415", "small batch 400", "small batch 503"} {
		if got[must] == 0 {
			s.Errorf("there is no %s: %v", must, got)
		}
	}
	if got["upload 200"] > 32 {
		s.Errorf("%d uploads were served at once", got["upload 200"])
	}
}

// A wave is attackers that are all alike.
type wave struct {
	name string
	n    int
	attacker
}

// storm has wave after wave send all but their ends, and then all the ends. It counts
// how each was answered.
func (s *siege) storm(waves []wave) map[string]int {
	s.Helper()
	finish := make(chan struct{})
	var all [][]*attacker
	var over sync.WaitGroup
	for _, w := range waves {
		var under sync.WaitGroup
		var these []*attacker
		for range w.n {
			one := w.attacker
			one.address = strings.TrimSuffix(strings.TrimPrefix(s.base, "http://"), "/v1")
			these = append(these, &one)
			under.Add(1)
			over.Go(func() { one.run(under.Done, finish) })
		}
		under.Wait()
		all = append(all, these)
	}
	alive, _ := s.do(s.Context(), http.MethodGet, "/../healthz", "", "")
	busy, said := s.do(s.Context(), http.MethodGet, "/batches", "", "")
	if alive.status != http.StatusOK || busy.status != http.StatusServiceUnavailable {
		s.Errorf("under attack it is alive: %d; and busy: %d %.300s", alive.status, busy.status, said)
	}
	close(finish)
	over.Wait()
	got := map[string]int{}
	for i, w := range waves {
		for _, one := range all[i] {
			if one.err != nil || one.status != one.want && one.status != http.StatusServiceUnavailable {
				s.Errorf("%s is answered %d, %v", w.name, one.status, one.err)
			}
			got[fmt.Sprint(w.name, " ", one.status)]++
		}
	}
	s.Logf("answers: %v", got)
	fixture.Await(s.T, soon, "it serves again", func() bool {
		reply, _ := s.do(s.Context(), http.MethodGet, "/batches", "", "")
		return reply.status == http.StatusOK
	})
	return got
}

// An attacker is one connection that sends nearly all of a request, and waits.
type attacker struct {
	address, path string
	head, end     string // beside what every head has
	body          []byte // between them, of all who are alike
	want          int    // its status, unless it is told to come again

	status int
	err    error
}

// run tells when all is sent but the end, or was answered already, and sends the end
// when it may.
func (a *attacker) run(sent func(), finish <-chan struct{}) {
	told := sync.OnceFunc(sent)
	defer told()
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		a.err = err
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	go func() {
		_, err := fmt.Fprintf(conn, "POST /v1%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n", a.path, a.head, len(a.body)+len(a.end))
		if err == nil {
			_, err = conn.Write(a.body)
		}
		told()
		if err != nil { // it was refused
			return
		}
		<-finish
		_, _ = io.WriteString(conn, a.end)
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		a.err = err
		return
	}
	a.status = response.StatusCode
	_ = response.Body.Close()
}

// hardLines has a worker check files of the longest lines that may be, as deep as JSON
// goes, each with one line too long behind them, and have others put into the queue.
func (s *siege) hardLines() {
	s.Helper()
	s.tidegate("pause", summaries)
	deep := strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000)
	long := strings.Repeat("x", jobs.MaxBodyBytes-len(deep)-1000)
	line := func(i int) string {
		return fmt.Sprintf(`{"custom_id":"n-%05d","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","deep":%s,"messages":[{"role":"user","content":"%s"}]}}`+"\n", i, deep, long)
	}
	right := line(0) + line(1) + line(2)
	var wrong, good []string
	for range 4 {
		wrong = append(wrong, s.batchOf(strings.NewReader(right+strings.Repeat("y", 9<<20))))
		good = append(good, s.batchOf(strings.NewReader(right)))
	}
	for i := range wrong {
		s.fails(wrong[i])
		s.enqueued(good[i], 3)
	}
}

// enqueued waits until lines are in the queue.
func (s *siege) enqueued(batch string, lines int) {
	s.Helper()
	fixture.Await(s.T, soon, "the lines are in the queue", func() bool {
		return s.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1", batch) == lines
	})
}

func (s *siege) goodBatch() {
	s.Helper()
	client := s.client()
	order := s.order(client, s.upload(client, batchLines(100)).ID)
	s.tidegate("resume", summaries)
	batch := s.poll(client, order.ID, openai.BatchStatusCompleted)
	s.wholeBatch(client, batch, 100)
}
