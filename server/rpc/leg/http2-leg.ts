import { constants, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag, endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { envelope } from "../../../leg/envelope.js";
import type { Parts } from "../../../leg/parts.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import type { Caller } from "../../admission/caller.js";
import { retireSession } from "../../http/http2-sessions.js";
import type { NodeRequest, NodeResponse } from "../../http/node-server.js";
import type { Relay } from "../../relay/relay.js";
import { bearerToken } from "../bearer-token.js";
import type { CallControl } from "../caller.js";
import { wireErrorOf } from "../wire-error.js";
import type { LegCarrier } from "./leg-carrier.js";
import { LegHandler } from "./leg-handler.js";
import type { LegRpc } from "./leg-rpc.js";

/** How a protocol ends a response: with one more envelope, or with HTTP trailers. */
type LegEnd = (error: ConnectError | undefined) => { envelope: Uint8Array } | { trailers: Record<string, string> };

const connectEnd: LegEnd = (error) => ({ envelope: connectEndEnvelope(error) });
const grpcEnd: LegEnd = (error) => ({ trailers: Object.fromEntries(grpcStatus(error)) });
const grpcWebEnd: LegEnd = (error) => ({ envelope: envelope(trailerFlag, trailerSerialize(grpcStatus(error))) });

/** The content types whose bodies are envelopes of binary Protobuf, and how their protocols end a response. */
const endByContentType: ReadonlyMap<string, LegEnd> = new Map([
  [contentTypeStreamProto, connectEnd],
  ["application/grpc", grpcEnd],
  ["application/grpc+proto", grpcEnd],
  ["application/grpc-web", grpcWebEnd],
  ["application/grpc-web+proto", grpcWebEnd],
]);

/** Headers that ask for more than bytes to be passed on: a compression, or a deadline. */
const decodingHeaders = ["connect-content-encoding", "grpc-encoding", "connect-timeout-ms", "grpc-timeout"];

/** The last message of a response in the Connect protocol. */
export function connectEndEnvelope(error: ConnectError | undefined): Uint8Array<ArrayBuffer> {
  const end = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  return envelope(endStreamFlag, new TextEncoder().encode(end));
}

function uncork(stream: ServerHttp2Stream): void {
  stream.uncork();
}

function grpcStatus(error: ConnectError | undefined): Headers {
  const trailers = new Headers();
  setTrailerStatus(trailers, error);
  return trailers;
}

/**
 * Serves a leg on an HTTP/2 request, its bytes as they come. Returns false for a request that is left to a decoder:
 * over HTTP/1.1, in another format, compressed, with a deadline, or with a body that somebody has read.
 */
export function serveHttp2Leg(
  relay: Relay,
  rpc: LegRpc,
  caller: Caller,
  control: CallControl,
  request: NodeRequest,
  response: NodeResponse,
): boolean {
  if (!("stream" in request) || !("stream" in response) || request.stream.readableDidRead) return false;
  const { headers } = request;
  const end = endByContentType.get(headers["content-type"] ?? "");
  if (end === undefined || request.method !== "POST") return false;
  if (decodingHeaders.some((name) => (headers[name] ?? "identity") !== "identity")) return false;
  new Http2Leg(relay, rpc, caller, control, request, response, end);
  return true;
}

class Http2Leg implements LegCarrier {
  readonly caller: Caller;
  readonly token: string;
  readonly #response: Http2ServerResponse;
  readonly #stream: ServerHttp2Stream;
  readonly #end: LegEnd;
  readonly #control: CallControl;

  constructor(
    relay: Relay,
    rpc: LegRpc,
    caller: Caller,
    control: CallControl,
    request: Http2ServerRequest,
    response: Http2ServerResponse,
    end: LegEnd,
  ) {
    const stream = request.stream as ServerHttp2Stream;
    this.caller = caller;
    this.token = bearerToken(request.headers.authorization);
    this.#response = response;
    this.#stream = stream;
    this.#end = end;
    this.#control = control;
    const { session } = stream;
    // The response has headers that say which pages may read it. Throws if somebody has responded already.
    stream.respond(
      { ...response.getHeaders(), "content-type": request.headers["content-type"], ":status": 200 },
      { waitForTrailers: end === grpcEnd },
    );
    const handler = new LegHandler(relay, this, rpc);
    const { heldBytes } = relay.admission;
    stream.on("data", (chunk: Buffer) => {
      heldBytes.received(chunk.byteLength);
      handler.receive(chunk);
    });
    stream.on("end", () => {
      // The body of a stream that was reset, or whose connection broke, says "end" too, and then "close".
      if (!stream.aborted) handler.endRequest();
    });
    stream.on("drain", () => handler.drained());
    // The stream's "close" follows, and says as much.
    stream.on("error", () => {});
    stream.on("finish", () => {
      // A stream that was reset says "finish" as well, and then "close".
      if (!stream.aborted) handler.close("broken");
    });
    stream.on("close", () => {
      // Node closes the streams of a broken connection with the code of a cancelled one.
      const isConnectionLost = session === undefined || session.destroyed;
      handler.close(stream.rstCode === constants.NGHTTP2_CANCEL && !isConnectionLost ? "canceled" : "broken");
    });
  }

  get heldBytes(): number {
    return this.#control.heldBytes;
  }

  takePlace(): void {
    this.#control.takePlace();
  }

  /** Envelopes of one turn go out together, because Node has one write at a time under way on a stream. */
  send({ arrays }: Parts): boolean {
    const stream = this.#stream;
    if (stream.destroyed) return true;
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(uncork, stream);
    }
    for (const array of arrays) stream.write(array);
    return !stream.writableNeedDrain;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  retire(): void {
    retireSession(this.#response);
  }

  end(error: StreamError | undefined, timeoutMs: number): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    this.#control.expectEnd(timeoutMs);
    const end = this.#end(error === undefined ? undefined : wireErrorOf(error));
    if ("envelope" in end) stream.end(end.envelope);
    else {
      // Node's response object sends its trailers when the stream asks for them.
      this.#response.addTrailers(end.trailers);
      stream.end();
    }
  }

  cutOff(): void {
    this.#control.expectEnd(0);
  }
}
