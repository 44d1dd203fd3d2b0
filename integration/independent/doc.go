// Command independent checks tidegate against LLM providers that we did not
// write: @copilotkit/aimock, a mock from npm (MIT), pinned by version and digest.
// Our own simulator was written by those who wrote the client; this one was not.
//
//	question ─ River ─ worker ×2 ─ mock of openai ──┐
//	  │                            mock of anthropic ├─ a fixture for each question
//	  │                            mock of gemini ──┘
//	  └── result in Postgres, event on NATS ── compared with the fixture
//
// Each dialect has a mock process of its own, with a key of its own that it
// insists on. There is a route for each dialect, and one with a chain of all
// three. Every question has a number, and its fixture an answer that no other has,
// so an answer that went astray is seen. It goes through four rounds:
//
//	calm      every question is answered at the first call
//	refusals  a quarter of the questions meets a scripted refusal first
//	chaos     the mock's chaos modes, a few percent each; and then, one dialect
//	          after the other, all of its calls for some seconds
//	limited   429s of openai's, beside which the mock announces 60 calls a minute
//
// Before that, each refusal that the mock can make is met once by the client
// alone, and its class compared with what it should be.
//
// The figures come from three sides that know nothing of each other: the tables,
// the events, and the mocks' own journals. Whoever runs it needs Go, node and npm;
// what it starts ends with it.
package main
