import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ResumeVector } from "./resume-vector.js";
import { ack, data, vector } from "./scripted-stream.js";

/** A stream ends while a leg is broken. */
export const endVectors: readonly ResumeVector[] = [
  vector(
    "a reset reaches a suspended peer",
    "The listener's reset carries its ack, so the client's account is final although an ack was lost.",
    (stream) => {
      const { client, listener } = stream;
      const reset = { reset: { code: Code.ResourceExhausted, reason: "too busy" } };
      stream.begins();
      stream.says(1, "one");
      stream.tells(2, "two");
      stream.loses("client", 3, "three");
      client.breaks();
      stream.hearsOfBreak("listener");
      listener.add({ does: "resets", code: Code.ResourceExhausted, reason: "too busy" });
      listener.sendsFrame({ ...ack(2), ...reset });
      listener.fails(Code.ResourceExhausted, Failure.UNSPECIFIED, 0, "final");
      listener.completes();
      stream.attachesAgain("client");
      client.getsFrame({ ...ack(2), ...reset });
      client.fails(Code.ResourceExhausted, Failure.UNSPECIFIED, 2, "final");
      client.completes();
    },
  ),
  vector(
    "an endpoint without a leg ends the stream",
    "The client calls Reject. The listener gets its code and reason in a reset, and the number that the client has received.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      listener.writes("zwei");
      stream.toClient(data(1, ["zwei"]));
      client.reads("zwei");
      client.breaks();
      stream.hearsOfBreak("listener");
      client.add({ does: "resets", code: Code.Canceled, reason: "no more" });
      stream.rejects("client", Code.Canceled, "no more");
      client.fails(Code.Canceled, Failure.UNSPECIFIED, 1, "final");
      listener.getsFrame({ ...ack(1), reset: { code: Code.Canceled, reason: "no more" } });
      listener.fails(Code.Canceled, Failure.UNSPECIFIED, 1, "final");
      listener.completes();
    },
  ),
  vector("a fin is lost", "It has a number like any other frame, and is sent again.", (stream) => {
    const { client, listener } = stream;
    stream.begins();
    stream.says(1, "one");
    client.add({ does: "finishes" });
    client.sendsFrame({ sequence: 2, fin: true });
    client.breaks();
    stream.hearsOfBreak("listener");
    stream.attachesAgain("client");
    stream.goesOn("client", 1, { sequence: 2, fin: true });
    stream.goesOn("listener", 0);
    stream.arrives("client");
    listener.add({ does: "reads the end" });
    listener.sendsFrame(ack(2));
    stream.arrives("listener");
    client.getsFrame(ack(2));
    listener.add({ does: "finishes" });
    stream.toClient({ sequence: 1, fin: true });
    client.add({ does: "reads the end" });
    stream.toListener(ack(1));
    stream.complete();
  }),
  vector(
    "the last ack is lost",
    "The client's fin was acked, but it does not know. The relay does, and says so with resumed.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      listener.add({ does: "finishes" });
      stream.toClient({ sequence: 1, fin: true });
      client.add({ does: "reads the end" });
      stream.toListener(ack(1));
      client.add({ does: "finishes" });
      stream.toListener({ sequence: 2, fin: true });
      listener.add({ does: "reads the end" });
      listener.sendsFrame(ack(2));
      listener.add({ does: "closes" });
      client.breaks();
      stream.isSuspended("listener");
      stream.attachesAgain("client");
      // The application hears only that the stream has ended well.
      client.gets({ case: "resumed", value: { receivedSequence: 2n } });
      listener.gets({ case: "resumed", value: { receivedSequence: 1n } });
      stream.toListener({ sequence: 2, fin: true, ...ack(1) });
      client.add({ does: "closes" });
      client.completes();
      listener.completes();
    },
  ),
  vector(
    "a fin that was acked is said again",
    "The other direction goes on. The relay may be one that has not seen the fin, so the client says it again.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      client.add({ does: "finishes" });
      stream.toListener({ sequence: 1, fin: true });
      listener.add({ does: "reads the end" });
      stream.toClient(ack(1));
      client.breaks();
      listener.breaks();
      stream.attachesAgain("client");
      stream.isSuspended("client");
      stream.attachesAgain("listener");
      stream.goesOn("listener", 0);
      stream.goesOn("client", 1, { sequence: 1, fin: true });
      stream.arrives("client");
      stream.arrives("listener");
      listener.writes("one");
      stream.toClient(data(1, ["one"]));
      client.reads("one");
      listener.add({ does: "finishes" });
      stream.toClient({ sequence: 2, fin: true });
      client.add({ does: "reads the end" });
      stream.toListener(ack(2));
      stream.complete();
    },
  ),
  vector(
    "the last ack is lost, and the stream has ended well",
    "The number that the refusal returns is that of the client's fin, and the listener's fin has come.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      listener.add({ does: "finishes" });
      stream.toClient({ sequence: 1, fin: true });
      client.add({ does: "reads the end" });
      stream.toListener(ack(1));
      client.add({ does: "finishes" });
      stream.toListener({ sequence: 2, fin: true });
      listener.add({ does: "reads the end" });
      listener.sendsFrame(ack(2));
      listener.add({ does: "closes" });
      listener.completes();
      client.breaks();
      stream.triesAgain("client");
      client.isRefused(Code.NotFound, { failure: Failure.STREAM_GONE, hop: Hop.RELAY, receivedSequence: 2n });
      client.add({ does: "closes" });
    },
  ),
];
