import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ResumeVector } from "./resume-vector.js";
import { ack, data, vector } from "./scripted-stream.js";

const gap = (sequence: number) => ({
  code: Code.OutOfRange,
  reason: `frame ${sequence} broke the protocol`,
  failure: Failure.SEQUENCE_GAP,
});

/** The relay or the peer refuses to go on. */
export const refusalVectors: readonly ResumeVector[] = [
  vector(
    "a gap after an own resume is dropped",
    "A frame that waited in the relay overtakes the one that is sent again. Once the expected frame has come, a gap is an error.",
    (stream) => {
      const { client } = stream;
      stream.opens();
      stream.isAccepted();
      client.breaks();
      stream.attachesAgain("client");
      stream.goesOn("client", 0);
      client.getsFrame(data(2, ["two"]));
      client.getsFrame(data(1, ["one"]));
      client.reads("one");
      client.getsFrame(data(2, ["two"]));
      client.reads("two");
      client.getsFrame(data(4, ["four"]));
      client.sendsFrame({ ...ack(2), reset: gap(4) });
      client.fails(Code.OutOfRange, Failure.SEQUENCE_GAP, 0, "final");
    },
  ),
  vector(
    "a gap without an own resume is an error",
    "A leg keeps the order and loses nothing, so only a peer that is wrong brings an endpoint to it.",
    (stream) => {
      const { listener } = stream;
      stream.isOffered();
      stream.accepts();
      listener.getsFrame(data(1, ["one"]));
      listener.reads("one");
      listener.getsFrame(data(3, ["three"]));
      listener.sendsFrame({ ...ack(1), reset: gap(3) });
      listener.fails(Code.OutOfRange, Failure.SEQUENCE_GAP, 0, "final");
    },
  ),
  vector(
    "the newest leg is fenced",
    "Somebody else has attached with the token. The endpoint does not try again.",
    (stream) => {
      const { client } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      client.isRefused(Code.Aborted, { failure: Failure.FENCED, hop: Hop.CALLER });
      client.fails(Code.Aborted, Failure.FENCED, 1, "at least");
    },
  ),
  vector(
    "the stream has ended, and the relay knows how much arrived",
    "Two messages are known to have arrived, although the client has seen the ack of one. The third may have.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.tells(2, "two");
      listener.add({ does: "acknowledges" });
      listener.sendsFrame(ack(2));
      stream.loses("client", 3, "three");
      client.breaks();
      stream.triesAgain("client");
      client.isRefused(Code.NotFound, { failure: Failure.STREAM_GONE, hop: Hop.RELAY, receivedSequence: 2n });
      client.fails(Code.NotFound, Failure.STREAM_GONE, 2, "at least");
    },
  ),
  vector(
    "the relay was restarted without its key",
    "The stream is lost, and the account is what the client knew before.",
    (stream) => {
      const { client } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      client.breaks();
      stream.triesAgain("client");
      client.isRefused(Code.PermissionDenied, { failure: Failure.TOKEN_INVALID, hop: Hop.CALLER });
      client.fails(Code.PermissionDenied, Failure.TOKEN_INVALID, 1, "at least");
    },
  ),
  vector(
    "the grace period of the peer is over",
    "The relay ends the call of the client that waited, with the last number that it knows.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.tells(2, "two");
      listener.breaks();
      stream.hearsOfBreak("client");
      client.isRefused(Code.Unavailable, { failure: Failure.LEG_LOST, hop: Hop.PEER, receivedSequence: 1n });
      client.fails(Code.Unavailable, Failure.LEG_LOST, 1, "at least");
    },
  ),
];
