import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { FailureDetailSchema } from "../../../gen/streamserver/v1/failure_pb.js";
import {
  ConnectRequestSchema,
  ConnectResponseSchema,
  RejectRequestSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { errorIdHeader } from "../../../server/relay/error-id.js";
import { newMemoryRelay } from "../../../test/fakes/relay-links.js";
import { fenced } from "../tables/markdown.js";
import { decodeEnvelopes, type Envelope, encodeEnvelope, walkEnvelope } from "./envelope.js";
import { greetOneClient } from "./greeting-listener.js";
import { type HttpRequest, type HttpResponse, httpExchange } from "./http-exchange.js";
import { dumpLines, type WireLine, walkWire } from "./wire-walk.js";

export const connectPath = "/streamserver.v1.RelayService/Connect";
export const connectHeaders = { "content-type": "application/connect+proto", "connect-protocol-version": "1" };
const grpcHeaders = { "content-type": "application/grpc+proto", te: "trailers" };

type Said = MessageInitShape<typeof ConnectRequestSchema>;

const openDemo: Said = { message: { case: "open", value: { name: "demo" } } };
const hello = [{ data: new TextEncoder().encode("hello"), text: true }];
/** Every message of a simple client, in order. */
export const conversation: Said[] = [
  openDemo,
  { message: { case: "frame", value: { sequence: 1n, messages: hello } } },
  { message: { case: "frame", value: { sequence: 2n, fin: true } } },
];

export function requestEnvelope(said: Said): Uint8Array {
  return encodeEnvelope({ flags: 0, content: toBinary(ConnectRequestSchema, create(ConnectRequestSchema, said)) });
}

function request(headers: Record<string, string>, said: Said[]): HttpRequest {
  return { path: connectPath, headers, body: said.map(requestEnvelope) };
}

/** The two halves of a simple client's whole `Connect`, with the answer of a relay. */
export async function conversationExample(): Promise<string> {
  const relay = newMemoryRelay();
  await greetOneClient(relay, "demo", "welcome");
  const call = request(connectHeaders, conversation);
  const response = await httpExchange(relay, call);
  return [
    "The client's half of the exchange:",
    fenced([requestHead(call), dumpLines(requestLines(call)), "(the end of the request)"].join("\n\n")),
    "The relay's:",
    fenced([responseHead(response), dumpLines(connectLines(response)), "(the end of the response)"].join("\n\n")),
  ].join("\n\n");
}

/** The answers of a relay to a name that has no listener, over Connect and over gRPC, and to a wrong unary RPC. */
export async function errorExamples(): Promise<string> {
  const relay = newMemoryRelay();
  const streaming = await httpExchange(relay, request(connectHeaders, [openDemo]));
  const grpc = await httpExchange(relay, request(grpcHeaders, [openDemo]));
  const unary = await httpExchange(relay, {
    path: "/streamserver.v1.RelayService/Reject",
    headers: { "content-type": "application/proto" },
    body: [
      toBinary(RejectRequestSchema, create(RejectRequestSchema, { streamId: "STREAM", legToken: "TOKEN", code: 7 })),
    ],
  });
  return [
    "`Connect` with a name nobody listens on, over Connect:",
    fenced([responseHead(streaming), dumpLines(connectLines(streaming))].join("\n\n")),
    "The same over gRPC. `grpc-status-details-bin` is a `google.rpc.Status`, whose details hold the `FailureDetail`:",
    fenced([responseHead(grpc), headerLines(grpc.trailers)].join("\n\n")),
    "`Reject`, unary, with a token that is none, over Connect:",
    fenced([responseHead(unary), Buffer.from(unary.body).toString("utf8")].join("\n\n")),
    "The `value` of a detail is the `FailureDetail`, in base64; of the first of these errors:",
    fenced(dumpLines(walkWire(FailureDetailSchema, detailOf(streaming)))),
  ].join("\n\n");
}

function* requestLines({ body }: HttpRequest): Generator<WireLine> {
  for (const envelope of decodeEnvelopes(Buffer.concat(body))) yield* walkEnvelope(ConnectRequestSchema, envelope);
}

function* connectLines({ body }: HttpResponse): Generator<WireLine> {
  for (const envelope of decodeEnvelopes(body)) yield* walkEnvelope(ConnectResponseSchema, withoutChance(envelope));
}

/** Replaces the random ids and tokens in a relay's answer, so that the page is the same each time. */
export function withoutChance(envelope: Envelope): Envelope {
  if ((envelope.flags & endStreamFlag) !== 0) {
    const end = Buffer.from(envelope.content).toString("utf8");
    return { ...envelope, content: Buffer.from(end.replace(/(?<="error-id":\[")[^"]*/, "ERROR")) };
  }
  const response = fromBinary(ConnectResponseSchema, envelope.content);
  if (response.message.case === "opened") {
    response.message.value.streamId = "STREAM";
    response.message.value.legToken = "TOKEN";
  }
  return { ...envelope, content: toBinary(ConnectResponseSchema, response) };
}

function detailOf({ body }: HttpResponse): Uint8Array {
  const [last] = decodeEnvelopes(body).slice(-1);
  const { error } = JSON.parse(Buffer.from(last?.content ?? []).toString("utf8"));
  return Buffer.from(error.details[0].value, "base64");
}

function requestHead({ path, headers }: HttpRequest): string {
  return [`POST /browser-server${path}`, headerLines(new Headers(headers))].join("\n");
}

function responseHead({ status, headers }: HttpResponse): string {
  return [`HTTP status ${status}`, headerLines(headers)].join("\n");
}

function headerLines(headers: Headers): string {
  // The id of an error is random.
  return [...headers].map(([name, value]) => `${name}: ${name === errorIdHeader ? "ERROR" : value}`).join("\n");
}
