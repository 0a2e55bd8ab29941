import { connect as connectHttp2, constants } from "node:http2";
import {
  create,
  fromBinary,
  fromJsonString,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { endStreamFlag, endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { Code, Failure } from "browser-stream-server";
import { FailureDetailSchema, RelayService } from "browser-stream-server/gen";
import {
  AcceptResponseSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../leg/envelope.js";
import { EnvelopeReader } from "../../leg/envelope-reader.js";
import { decodeLinkMessage } from "../../link/packet/link-message.js";
import { Condition, Deferred } from "../../stream/platform/deferred.js";
import { data, end, opening, RawLink } from "./raw-link.js";
import type { TestRelay } from "./relay-ports.js";

type Rpc = "Connect" | "Accept";
type LegRequest = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["message"]>;
type Response = MessageShape<typeof ConnectResponseSchema> | MessageShape<typeof AcceptResponseSchema>;
/** The end of a leg: a failure, or "well". */
export type LegEnd = Failure | "well";

/** The body of a call, both ways. */
interface Body {
  write(bytes: Uint8Array): void;
  end(): void;
  /** Reads no more of the response until `resume`. */
  pause(): void;
  resume(): void;
  /** Cancels the call, and leaves its connection. */
  cancel(): void;
  /** Breaks the connection. */
  close(): void;
}

interface BodyEvents {
  /** The connection takes no more calls. */
  onRetired(): void;
  onChunk(chunk: Uint8Array): void;
  /** The body of the response has ended, with these trailers. */
  onEnd(trailers: Headers): void;
}

/** A carrier of legs, and the format of the messages on it. */
export interface Carrier {
  name: string;
  format: "binary" | "JSON";
  open(relay: TestRelay, rpc: Rpc, events: BodyEvents): Promise<Body>;
}

function http2Carrier(name: string, contentType: string): Carrier {
  return {
    name,
    format: contentType.endsWith("json") ? "JSON" : "binary",
    async open(relay, rpc, { onChunk, onEnd, onRetired }) {
      const session = connectHttp2(relay.origin);
      const path = `${new URL(relay.url).pathname}/${RelayService.typeName}/${rpc}`;
      const call = session.request({ ":method": "POST", ":path": path, "content-type": contentType, te: "trailers" });
      session.once("goaway", onRetired);
      const trailers = new Headers();
      call.on("data", onChunk).on("trailers", (received) => {
        for (const [field, value] of Object.entries(received)) trailers.set(field, String(value));
      });
      call.on("end", () => onEnd(trailers)).on("error", () => {});
      return {
        write: (bytes) => call.write(bytes),
        end: () => call.end(),
        pause: () => call.pause(),
        resume: () => call.resume(),
        cancel: () => {
          call.close(constants.NGHTTP2_CANCEL);
          call.once("close", () => session.close());
        },
        close: () => session.destroy(),
      };
    },
  };
}

const linkCarrier: Carrier = {
  name: "a channel of a link",
  format: "binary",
  async open(relay, rpc, { onChunk, onEnd }) {
    const link = await RawLink.open(relay);
    link.socket.on("message", (message: Buffer) => {
      for (const { content } of decodeLinkMessage(message).packets) {
        if (content.case === "data") onChunk(content.value);
        else if (content.case === "end") onEnd(new Headers());
      }
    });
    link.send(opening(1, rpc));
    return {
      write: (bytes) => link.send(data(1, bytes)),
      end: () => link.send(end(1)),
      pause: () => link.socket.pause(),
      resume: () => link.socket.resume(),
      cancel: () => link.send({ channel: 1, content: { case: "reset", value: { code: Code.Canceled } } }),
      close: () => link.socket.terminate(),
    };
  },
};

export const carriers: readonly Carrier[] = [
  http2Carrier("Connect", "application/connect+proto"),
  http2Carrier("gRPC", "application/grpc"),
  http2Carrier("gRPC-Web", "application/grpc-web+proto"),
  linkCarrier,
  http2Carrier("JSON", "application/connect+json"),
];

/** A leg whose bytes a test writes by hand, right ones and wrong ones, on any carrier. */
export class WireLeg {
  readonly format: Carrier["format"];
  /** The data of the envelopes so far, without that of the end. */
  readonly received: Uint8Array[] = [];
  readonly #rpc: Rpc;
  readonly #retired = new Deferred<void>();
  readonly #changed = new Condition();
  readonly #reader = new EnvelopeReader(1_048_576, (flags, received) => this.#take(flags, dataOf(received)));
  #body!: Body;
  #end: LegEnd | undefined;
  #readMessages = 0;

  static async open(carrier: Carrier, relay: TestRelay, rpc: Rpc): Promise<WireLeg> {
    const leg = new WireLeg(carrier, rpc);
    leg.#body = await carrier.open(relay, rpc, {
      onRetired: () => leg.#retired.resolve(),
      onChunk: (chunk) => void leg.#reader.push(chunk),
      onEnd: (trailers) => leg.#endWith(findTrailerError(trailers)),
    });
    return leg;
  }

  private constructor({ format }: Carrier, rpc: Rpc) {
    this.format = format;
    this.#rpc = rpc;
  }

  /** Resolves when the connection of the leg takes no more calls. */
  get retired(): Promise<void> {
    return this.#retired.promise;
  }

  /** A message in its envelope, in the format of this leg. */
  encoded(message: LegRequest): Uint8Array {
    const request = create(ConnectRequestSchema, { message });
    const isJson = this.format === "JSON";
    const bytes = isJson ? toJsonString(ConnectRequestSchema, request) : toBinary(ConnectRequestSchema, request);
    return envelope(0, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
  }

  write(...all: Uint8Array[]): void {
    this.#body.write(Buffer.concat(all));
  }

  endRequest(): void {
    this.#body.end();
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  /** The next message, or how the leg ended. */
  async next(): Promise<Response["message"] | LegEnd> {
    while (this.#readMessages === this.received.length && this.#end === undefined) await this.#changed.changed();
    const bytes = this.received[this.#readMessages];
    if (bytes === undefined) return this.#end as LegEnd;
    this.#readMessages += 1;
    const schema = this.#rpc === "Connect" ? ConnectResponseSchema : AcceptResponseSchema;
    return (this.format === "JSON" ? fromJsonString(schema, Buffer.from(bytes).toString()) : fromBinary(schema, bytes))
      .message;
  }

  /** Cancels the call, and leaves its connection. */
  cancel(): void {
    this.#body.cancel();
  }

  /** Breaks the connection. */
  close(): void {
    this.#body.close();
  }

  #take(flags: number, bytes: Uint8Array): boolean {
    if (flags === endStreamFlag) this.#endWith(endStreamFromJson(bytes).error);
    else if (flags === trailerFlag) this.#endWith(findTrailerError(trailerParse(bytes)));
    else this.received.push(bytes);
    this.#changed.notify();
    return true;
  }

  #endWith(error: ConnectError | undefined): void {
    const detail = error?.findDetails(FailureDetailSchema)[0];
    this.#end ??= error === undefined ? "well" : (detail?.failure ?? Failure.UNSPECIFIED);
    this.#changed.notify();
  }
}
