import { Code, Failure, type Stream, StreamError } from "browser-stream-server";
import { checkEqual, checkRejects, type ExpectedFailure } from "./check.js";
import type { ContractCase } from "./contract-case.js";
import { readAll } from "./message-cases.js";
import type { Party, Role } from "./party.js";

const endedAtOnce = 10;
const canceled = { code: Code.Canceled, failure: Failure.PEER_CANCELED };

/** The errors that a stream is destroyed with, each with the failure that either side gets. */
const endings: readonly { error?: Error; expected: ExpectedFailure }[] = [
  { expected: canceled },
  { error: new Error("out of paper"), expected: { code: Code.Unknown, message: "out of paper" } },
  {
    error: new StreamError("out of ink", { code: Code.ResourceExhausted }),
    expected: { code: Code.ResourceExhausted, failure: Failure.UNSPECIFIED, message: "out of ink" },
  },
];

async function destroyInTurn(party: Party, role: Role, open: () => Promise<Stream>): Promise<void> {
  for (const { error, expected } of endings) {
    for (const destroyer of ["listener", "client"]) {
      const stream = await open();
      const what = `destroyed by the ${destroyer} with ${error ?? "nothing"}`;
      await party.together(what);
      if (destroyer === role) stream.destroy(error);
      await checkRejects(what, stream.closed, expected);
    }
  }
}

async function endAtOnce(party: Party, streams: readonly Stream[]): Promise<void> {
  for (const stream of streams) stream.write("hello");
  await party.together("all are open");
  for (const stream of streams) stream.end("fin");
  for (const stream of streams) {
    checkEqual("what came before the end", await readAll(stream), ["hello", "fin"]);
    await stream.closed;
  }
}

/** Takes the offer and reads nothing. */
function accept(stream: Stream): Stream {
  return stream.resume().pause();
}

export const endingCases: readonly ContractCase[] = [
  {
    name: "both sides end at once",
    async listen(party, server) {
      const streams: Stream[] = [];
      while (streams.length < endedAtOnce) streams.push(await party.next(server));
      await endAtOnce(party, streams);
    },
    connect: (party) =>
      endAtOnce(
        party,
        Array.from({ length: endedAtOnce }, () => party.connect()),
      ),
  },
  {
    name: "destroying one side fails the other, with the code and the reason that it was given",
    listen: (party, server) => destroyInTurn(party, "listener", async () => accept(await party.next(server))),
    connect: (party) =>
      destroyInTurn(party, "client", async () => {
        const stream = party.connect();
        await stream.opened;
        return stream;
      }),
  },
  {
    name: "a client's signal destroys its stream, before, while and after it waits for the listener",
    async listen(party, server) {
      const offered = await party.next(server);
      checkEqual("the first who comes", { ...offered.metadata }, { aborted: "while it waits" });
      await party.together("the client waits");
      await checkRejects("an offer that was withdrawn", offered.closed, { failure: Failure.OFFER_GONE });
      const open = accept(await party.next(server));
      await party.together("the stream is open");
      await checkRejects("an aborted stream", open.closed, canceled);
      const reasoned = accept(await party.next(server));
      await party.together("another is open");
      await checkRejects("a stream aborted for a reason", reasoned.closed, {
        code: Code.DeadlineExceeded,
        message: "too late",
      });
    },
    async connect(party) {
      const early = party.connect({ signal: AbortSignal.abort(), metadata: { aborted: "before" } });
      await checkRejects("aborted before", early.opened, canceled);
      const controllers = [new AbortController(), new AbortController(), new AbortController()] as const;
      const [{ signal: first }, { signal: second }, { signal: third }] = controllers;
      const waiting = party.connect({ signal: first, metadata: { aborted: "while it waits" } });
      await party.together("the client waits");
      controllers[0].abort();
      await checkRejects("aborted while it waits", waiting.opened, canceled);
      await checkRejects("aborted while it waits", waiting.closed, canceled);
      const open = party.connect({ signal: second });
      await open.opened;
      await party.together("the stream is open");
      controllers[1].abort();
      await checkRejects("aborted while open", open.closed, canceled);
      const reasoned = party.connect({ signal: third });
      await reasoned.opened;
      await party.together("another is open");
      controllers[2].abort(new StreamError("too late", { code: Code.DeadlineExceeded }));
      await checkRejects("aborted for a reason", reasoned.closed, { code: Code.DeadlineExceeded, message: "too late" });
    },
  },
];
