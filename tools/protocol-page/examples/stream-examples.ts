import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Frame, FrameSchema } from "../../../gen/streamserver/v1/frame_pb.js";
import {
  AcceptedSchema,
  ConnectRequestSchema,
  Feature,
  OfferSchema,
  OpenedSchema,
  OpenSchema,
  RejectRequestSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";

/** A message that the page shows byte for byte. */
export interface WireExample<Desc extends DescMessage = DescMessage> {
  title: string;
  schema: Desc;
  message: MessageShape<Desc>;
}

function example<Desc extends DescMessage>(
  title: string,
  schema: Desc,
  init: MessageInitShape<Desc>,
): WireExample<Desc> {
  return { title, schema, message: create(schema, init) };
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const frame = (title: string, init: MessageInitShape<typeof FrameSchema>) => example(title, FrameSchema, init);

/** Frames that an endpoint sends, in this order, after its peer has sent one frame. */
export const streamFrames = {
  text: frame("A text message", { sequence: 1n, messages: [{ data: utf8("hello"), text: true }] }),
  binary: frame("A binary message", { sequence: 2n, messages: [{ data: Uint8Array.of(0x00, 0xff) }] }),
  firstPart: frame("A message in two parts: the first, which says that it is text", {
    sequence: 3n,
    messages: [{ data: utf8("good"), text: true, more: true }],
  }),
  lastPart: frame("The second part, which ends it", { sequence: 4n, messages: [{ data: utf8("bye") }] }),
  ack: frame("An ack", { ack: 1n }),
  credit: frame("Credit", { credit: 98_304n }),
  all: frame("Two messages, fin, ack and credit at once", {
    sequence: 5n,
    ack: 1n,
    credit: 131_072n,
    messages: [
      { data: utf8("a"), text: true },
      { data: utf8("b"), text: true },
    ],
    fin: true,
  }),
};

/** The messages that the application of the peer reads from {@link streamFrames}. */
export const messagesRead: readonly (string | Uint8Array)[] = ["hello", Uint8Array.of(0x00, 0xff), "goodbye", "a", "b"];

/** Frames that may end the stream in place of the last one of {@link streamFrames}. */
export const lastFrames = {
  fin: frame("Fin alone", { sequence: 5n, fin: true }),
  reset: frame("A reset by the application", {
    reset: { code: Code.ResourceExhausted, reason: "too busy" },
  }),
  violation: frame("A reset for a broken rule", {
    reset: { code: Code.OutOfRange, reason: "frame 7 came, 6 was expected", failure: Failure.SEQUENCE_GAP },
  }),
};

const text: Frame = streamFrames.text.message;

/** The messages of the RPCs that open a stream. */
export const openingExamples: readonly WireExample[] = [
  example("`Open` of a simple client", OpenSchema, { name: "demo" }),
  example("`Open` of a client with metadata, credit and acks", OpenSchema, {
    name: "demo",
    metadata: { lang: "en" },
    capabilities: { features: [Feature.CREDIT, Feature.ACK], maxMessageBytes: 1_048_576n },
  }),
  example("`Open` of a simple listener, on `Accept`", OpenSchema, { streamId: "STREAM", legToken: "TOKEN" }),
  example("`Opened`, of which only one limit is shown", OpenedSchema, {
    streamId: "STREAM",
    legToken: "TOKEN",
    limits: { maxFrameBytes: 200_704 },
  }),
  example("`Accepted`, by a simple listener", AcceptedSchema, {}),
  example("`Accepted`, by a listener with credit and acks", AcceptedSchema, {
    capabilities: { features: [Feature.CREDIT, Feature.ACK] },
  }),
  example("`Offer`", OfferSchema, {
    streamId: "STREAM",
    legToken: "TOKEN",
    acceptTimeoutMs: 10_000,
    metadata: { lang: "en" },
    capabilities: { features: [Feature.CREDIT] },
    caller: { origin: "https://example.com" },
  }),
  example("`RejectRequest`", RejectRequestSchema, {
    streamId: "STREAM",
    legToken: "TOKEN",
    code: Code.PermissionDenied,
    reason: "members only",
  }),
  example(
    "A frame in a `ConnectRequest`; its bytes are the same in the other three messages of legs",
    ConnectRequestSchema,
    { message: { case: "frame", value: text } },
  ),
];
