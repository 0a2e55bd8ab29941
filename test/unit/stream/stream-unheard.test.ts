import { PassThrough } from "node:stream";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Bytes, jsonCodec } from "../../../stream/codec.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Stream } from "../../../stream/stream.js";
import { unheardLine } from "../../../web/api/unheard-error.js";
import { settled } from "../../fakes/outcome.js";
import { type StreamAndPeer, streamAndPeer, textMessage } from "../../fakes/streams.js";

type AnyStream = Stream<string | Uint8Array, string | Bytes>;

const lost = new StreamError("the relay is gone", { failure: Failure.LEG_LOST, hop: Hop.RELAY });
/** The error of a stream to which nothing was written. */
const told = lost.withDelivery({ messages: 0, isFinal: true });

async function loop(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages);
}

async function loopAndDestroy(messages: AsyncIterable<unknown>, stream: AnyStream): Promise<void> {
  try {
    for await (const _message of messages);
  } catch (error) {
    stream.destroy(error);
  }
}

/** Uses of a stream after which its failure is heard by somebody. */
const listening: [string, (stream: AnyStream) => unknown][] = [
  ["a listener for error", (stream) => stream.on("error", () => {})],
  ["a listener for one error", (stream) => stream.once("error", () => {})],
  ["whoever awaits closed", (stream) => stream.closed.catch(() => {})],
  ["whoever awaits opened while it is pending", (stream) => stream.opened.catch(() => {})],
  ["a loop", (stream) => loop(stream).catch(() => {})],
  ["a loop that then ends the stream by the error it got", (stream) => loopAndDestroy(stream, stream)],
  ["a loop over readable that then ends it so", (stream) => loopAndDestroy(stream.readable, stream)],
  ["a reader", (stream) => stream.readable.getReader().closed.catch(() => {})],
  ["a writer", (stream) => stream.writable.getWriter().closed.catch(() => {})],
  ["a pipeTo", (stream) => stream.readable.pipeTo(new WritableStream()).catch(() => {})],
  [
    "a destination of pipe that has a listener for error",
    (stream) => stream.pipe(new PassThrough()).on("error", () => {}),
  ],
];

/** Uses that tell nobody. */
const deaf: [string, (stream: AnyStream) => unknown][] = [
  ["nobody", () => {}],
  ["a listener for data", (stream) => stream.on("data", () => {})],
  ["a listener for close", (stream) => stream.on("close", () => {})],
  ["a destination of pipe without a listener for error", (stream) => stream.pipe(new PassThrough())],
  ["a face that nobody reads or writes by", (stream) => [stream.readable, stream.writable]],
];

describe("Stream shows an error that nobody listens for", () => {
  test.each(listening)("not where there is %s", async (_who, listen) => {
    const { stream, life, unheard } = streamAndPeer();
    listen(stream);
    await settled();
    life.fail(lost);
    await settled();
    expect(unheard).toEqual([]);
  });

  test.each(deaf)("once where there is %s", async (_who, use) => {
    const { stream, life, unheard } = streamAndPeer();
    use(stream);
    await settled();
    life.fail(lost);
    life.fail(lost);
    await settled();
    stream.destroy();
    await settled();
    expect(unheard).toEqual([told]);
  });

  test("also to those who heard that it had opened, had read it to its end, or had let go of it", async () => {
    const uses = [
      async ({ stream, life, peer }: StreamAndPeer<string | Uint8Array, string | Bytes>) => {
        life.accept(peer.capabilities);
        await stream.opened;
      },
      async ({ stream, peer, carry }: StreamAndPeer<string | Uint8Array, string | Bytes>) => {
        const reading = loop(stream);
        peer.finish();
        await carry();
        await reading;
      },
      async ({ stream, peer, carry }: StreamAndPeer<string | Uint8Array, string | Bytes>) => {
        const reading = stream.readable.pipeTo(new WritableStream());
        peer.finish();
        await carry();
        await reading;
      },
      async ({ stream, peer, carry }: StreamAndPeer<string | Uint8Array, string | Bytes>) => {
        const reader = stream.readable.getReader();
        const reading = reader.read();
        peer.write(textMessage("one"));
        await carry();
        await reading;
        reader.releaseLock();
      },
    ];
    for (const use of uses) {
      const made = streamAndPeer();
      await use(made);
      made.life.fail(lost);
      await settled();
      expect(made.unheard).toEqual([told]);
    }
  });

  test("not when this side has ended it", async () => {
    const cancels: ((stream: AnyStream) => unknown)[] = [
      (stream) => stream.destroy(),
      (stream) => stream.destroy(AbortSignal.abort().reason),
      (stream) => stream.readable.cancel("seen enough"),
      (stream) => stream.writable.abort(new Error("seen enough")),
      (stream) => stream.pipe(new PassThrough()).destroy(),
      async (stream) => {
        for await (const _message of stream) break;
      },
    ];
    for (const cancel of cancels) {
      const { stream, peer, unheard, carry } = streamAndPeer();
      peer.write(textMessage("one"));
      await carry();
      await cancel(stream);
      await carry();
      expect(unheard).toEqual([]);
    }
  });

  test("an error that this side was given by destroy, a message that it cannot read, a pipe that throws", async () => {
    const given = streamAndPeer();
    const mine = new Error("disk full");
    given.stream.destroy(mine);
    await settled();
    expect(given.unheard).toEqual([expect.objectContaining({ message: "disk full", cause: mine })]);

    const unreadable = streamAndPeer({}, jsonCodec());
    unreadable.stream.on("data", () => {});
    unreadable.peer.write(textMessage("{"));
    await unreadable.carry();
    expect(unreadable.unheard).toEqual([expect.objectContaining({ code: Code.InvalidArgument })]);

    const piped = streamAndPeer();
    piped.stream.on("data", () => {});
    piped.stream.pipe(new PassThrough());
    await settled();
    expect(piped.unheard).toEqual([expect.objectContaining({ code: Code.FailedPrecondition })]);
  });
});

describe("an error of the destination of a pipe is shown once where nobody listens for it", () => {
  test("a stream's, as its own, whether it is written to by a stream or by Node", async () => {
    const into = [
      (destination: AnyStream) => streamAndPeer().stream.pipe(destination),
      (destination: AnyStream) => new PassThrough().pipe(destination as unknown as NodeJS.WritableStream),
    ];
    for (const pipe of into) {
      const { stream, life, unheard } = streamAndPeer();
      pipe(stream);
      await settled();
      life.fail(lost);
      await settled();
      expect(unheard).toEqual([told]);
    }
  });

  test("a Node stream's", async () => {
    const { stream, unheard } = streamAndPeer();
    stream.pipe(new PassThrough()).destroy(new Error("disk full"));
    await settled();
    expect(unheard).toEqual([expect.objectContaining({ message: "disk full" })]);
    const heard = streamAndPeer();
    heard.stream
      .pipe(new PassThrough())
      .on("error", () => {})
      .destroy(new Error("disk full"));
    await settled();
    expect(heard.unheard).toEqual([]);
  });
});

describe("unheardLine", () => {
  const relayUrl = "http://localhost:8080/browser-server";

  test("names the failure, the stream, the reason and the relay, whose URL it says once", () => {
    const line = unheardLine('the stream to "N"', lost, relayUrl);
    for (const part of ["LEG_LOST", '"N"', "the relay is gone", relayUrl]) expect(line).toContain(part);
    const named = new StreamError(`the relay at ${relayUrl} is gone`, { failure: Failure.LEG_LOST });
    expect(unheardLine('the stream to "N"', named, relayUrl).split(relayUrl)).toHaveLength(2);
    expect(unheardLine('the stream to "N"', new StreamError("no", { code: Code.Aborted }), undefined)).toContain(
      "Aborted",
    );
  });

  test("is one line of text that does nothing to a terminal, whatever a stranger has written", () => {
    const strange = new StreamError("one\r\ntwo\u001b[2J\u009b\u202e\u2028\u2029\u0000three", { code: Code.Aborted });
    const line = unheardLine('the stream to "N"', strange, undefined);
    expect(line).toContain("three");
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
});
