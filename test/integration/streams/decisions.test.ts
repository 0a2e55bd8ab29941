import { setTimeout as sleep } from "node:timers/promises";
import {
  Code,
  Failure,
  type Stream,
  StreamClient,
  StreamError,
  StreamServer,
  type TransportLike,
} from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { uncaughtDuring } from "../../fakes/uncaught.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { allWays, type Way } from "../ways.js";

let relay: TestRelay;

beforeAll(async () => {
  // One offer that hangs is one too many.
  relay = await openRelay({ limits: { maxOffersPerName: 1 } });
});

afterAll(() => relay.close());

const mine = new Error("the application's own");

/**
 * Ways for a listener to end a stream in the turn that uses it, what the client hears, and what the platform is told.
 */
const endings: {
  how: string;
  callback: (stream: Stream) => unknown;
  heard: { code: Code; message: string };
  uncaught?: unknown;
}[] = [
  {
    how: "uses and destroys it with an error",
    callback: (stream) => {
      stream.write("full");
      stream.destroy(new Error("no"));
    },
    heard: { code: Code.Unknown, message: "no" },
  },
  {
    how: "ends and destroys it",
    callback: (stream) => stream.end("full").destroy(),
    heard: { code: Code.Canceled, message: "the stream was destroyed" },
  },
  {
    how: "reads and destroys it with a code",
    callback: (stream) => stream.resume().destroy(new StreamError("full", { code: Code.ResourceExhausted })),
    heard: { code: Code.ResourceExhausted, message: "full" },
  },
  {
    how: "uses it and aborts the other face",
    callback: (stream) => {
      stream.write("full");
      void stream.writable.abort("enough");
    },
    heard: { code: Code.Canceled, message: "enough" },
  },
  {
    how: "uses it and throws",
    callback: (stream) => {
      stream.write("full");
      throw mine;
    },
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: mine,
  },
  {
    how: "throws before it uses it",
    callback: () => {
      throw mine;
    },
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: mine,
  },
  {
    how: "uses it in a callback whose promise rejects",
    callback: async (stream) => {
      stream.write("full");
      throw mine;
    },
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: mine,
  },
  {
    how: "returns a thenable that rejects",
    // biome-ignore lint/suspicious/noThenProperty: promises of other makings are thenables too
    callback: () => ({ then: (_: unknown, reject: (reason: unknown) => void) => reject(mine) }),
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: mine,
  },
  {
    how: "writes what the codec refuses",
    callback: (stream) => stream.write({ hello: 1 } as never),
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: expect.objectContaining({ code: Code.InvalidArgument }),
  },
  {
    how: "writes more than the client takes",
    callback: (stream) => stream.write(new Uint8Array(65_537)),
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: expect.objectContaining({ failure: Failure.MESSAGE_TOO_LARGE }),
  },
  {
    how: "writes what the codec refuses, catches that, and rejects it",
    callback: (stream) => {
      expect(() => stream.write({ hello: 1 } as never)).toThrow();
      stream.reject(Code.Aborted, "then not");
    },
    heard: { code: Code.Aborted, message: "then not" },
  },
  {
    how: "rejects it after it was used",
    callback: (stream) => {
      stream.write("full");
      stream.reject(Code.Aborted, "too late");
    },
    heard: { code: Code.Internal, message: "the listener failed" },
    uncaught: expect.objectContaining({ code: Code.FailedPrecondition }),
  },
];

describe.each(["a base URL", "gRPC over HTTP/2", "a link over Connect, binary", "a WebSocket"] as const)(
  "over %s",
  (kind) => {
    let way: Way;
    let transport: TransportLike;

    beforeAll(() => {
      way = allWays[kind](relay.url);
      transport = way.transport;
    });

    afterEach(() => holdsNothing(relay, "links"));
    afterAll(() => way.close());

    test.each(endings)(
      "a client hears at once of a listener that $how",
      async ({ callback, heard, uncaught: expected }) => {
        const server = StreamServer(transport, callback).listen("door");
        await server.ready;
        const uncaught = await uncaughtDuring(async () => {
          for (const _turn of ["first", "second"]) {
            const stream = StreamClient(transport, { maxMessageBytes: 65_536 }).connect("door");
            expect(await rejection(stream.closed)).toMatchObject(heard);
          }
        });
        expect(uncaught).toEqual(expected === undefined ? [] : [expected, expected]);
        expect(server.streams.size).toBe(0);
        await server.end();
      },
    );

    test("a listener for stream that throws declines the client, whose stream was never used", async () => {
      const server = StreamServer(transport)
        .on("stream", () => {
          throw mine;
        })
        .listen("door");
      await server.ready;
      const uncaught = await uncaughtDuring(async () => {
        expect(await rejection(StreamClient(transport).connect("door").closed)).toMatchObject({ code: Code.Internal });
      });
      expect(uncaught).toEqual([mine]);
      await server.end();
    });

    test("a server that is left in the turn that accepts a client keeps the client", async () => {
      const server = StreamServer(transport).listen("door");
      await server.ready;
      const stream = StreamClient(transport).connect("door");
      for await (const accepted of server) {
        accepted.end("welcome");
        accepted.resume();
        break;
      }
      stream.end();
      const heard: unknown[] = [];
      for await (const message of stream) heard.push(message);
      await stream.closed;
      expect(heard).toEqual(["welcome"]);
      await server.closed;
    });

    test("a server that is ended while a client waits and while another was declined tells both", async () => {
      const waiting: Stream[] = [];
      const server = StreamServer(transport, async (stream) => {
        waiting.push(stream);
        await stream.closed.catch(() => {});
      }).listen("door");
      await server.ready;
      const first = StreamClient(transport).connect("door");
      while (waiting.length === 0) await sleep(1);
      waiting[0]?.reject(Code.Aborted, "not you");
      await Promise.all([
        server.end(),
        expect(rejection(first.closed)).resolves.toMatchObject({ code: Code.Aborted, message: "not you" }),
      ]);
      const next = StreamServer(transport, () => new Promise(() => {})).listen("door");
      await next.ready;
      const second = StreamClient(transport).connect("door");
      while (relay.proxy.counts.offers === 0) await sleep(1);
      await next.end();
      expect(await rejection(second.closed)).toMatchObject({ failure: Failure.LISTENER_GONE });
    });
  },
);

test("an application that takes its time may reject a client that has gone meanwhile", async () => {
  let decide = () => {};
  const answered = new Promise<void>((resolve) => {
    decide = resolve;
  });
  const server = StreamServer(relay.origin, async (stream) => {
    await stream.closed.catch(() => {});
    stream.reject(Code.PermissionDenied, "who are you?");
    decide();
  }).listen("slow door");
  await server.ready;
  const stream = StreamClient(relay.origin).connect("slow door");
  while (relay.proxy.counts.offers === 0) await sleep(1);
  stream.destroy();
  expect(await uncaughtDuring(() => answered)).toEqual([]);
  await server.end();
});
