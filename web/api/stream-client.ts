import type { Transport } from "@connectrpc/connect";
import type { Codec, RawInput, RawMessage } from "../../stream/codec.js";
import { capabilitiesToWire } from "../../stream/endpoint/capabilities.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint-options.js";
import { type OptionType, objectWith, oneOf, primitive, wholeNumber } from "../../stream/error/options.js";
import { canceledError, type StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { isWellFormed } from "../../stream/platform/well-formed.js";
import { Stream } from "../../stream/stream.js";
import { StreamLife } from "../../stream/stream-life.js";
import type { AccessToken } from "./access-token.js";
import { attach } from "./attacher.js";
import { nameError } from "./name-error.js";

export interface StreamClientOptions<Out = RawMessage, In = RawInput> extends EndpointOptions {
  /** The relay's path under a base URL. Default "/browser-server". A transport has its own. */
  prefix?: string | undefined;
  /** Encodes and decodes the messages. Default `rawCodec`: strings and bytes, as they were written. */
  codec?: Codec<Out, In> | undefined;
  /**
   * The access token, for a relay that asks for one; or a function that gives one, or a promise of one within 10 s, and
   * that is asked again for each attachment to the relay, and before a token expires that would end the stream. Default
   * none.
   */
  token?: AccessToken | undefined;
}

export interface ConnectOptions extends EndpointOptions {
  /** For the listener, before it accepts. At most 8 KiB in all, if the relay does not say otherwise. */
  metadata?: Record<string, string> | undefined;
  /**
   * How long to wait for a listener if nobody listens on the name, in milliseconds. Default: not at all, and the stream
   * fails with FAILURE_NO_SUCH_NAME. A relay may let only so many clients wait, and says FAILURE_LIMIT_REACHED then.
   */
  waitForListenerMs?: number | undefined;
  /** Destroys the stream when it is aborted, which is `canceled` unless the signal's reason is a StreamError. */
  signal?: AbortSignal | undefined;
}

export interface StreamClient<Out = RawMessage, In = RawInput> {
  /**
   * Opens a stream to the listener of `name`, and returns it at once: messages that are written before the listener
   * accepts wait.
   *
   * - `opened` rejects, and "error" is emitted, with FAILURE_NO_SUCH_NAME, FAILURE_DECLINED,
   *   FAILURE_NOT_ACCEPTED_IN_TIME and other failures that prevent the stream; with FAILURE_NAME_INVALID for a name
   *   that cannot be.
   * - Throws `invalid_argument` for an option that does not exist, and for metadata that is no record of strings.
   * - The caller ends the stream.
   *
   * @example
   * const stream = StreamClient(relayUrl).connect("SERVER_NAME", { metadata: { user: "me" } });
   * for await (const message of stream) console.log(message);
   */
  connect(name: string, options?: ConnectOptions): Stream<Out, In>;
}

export const defaultPrefix = "/browser-server";

/** The options of an endpoint, which each side of a stream has for itself. */
const endpointOptions: Record<keyof EndpointOptions, OptionType> = {
  maxMessageBytes: wholeNumber,
  windowBytes: wholeNumber,
  highWaterMarkBytes: wholeNumber,
  maxBufferedBytes: wholeNumber,
  acknowledgeEnd: oneOf("received", "read"),
};

export const clientOptions: Record<keyof StreamClientOptions, OptionType> = {
  ...endpointOptions,
  prefix: primitive("string"),
  codec: objectWith("encode", "decode"),
  token: ["a string or a function", (value) => typeof value === "string" || typeof value === "function"],
};

export const connectOptions: Record<keyof ConnectOptions, OptionType> = {
  ...endpointOptions,
  metadata: ["a record of well-formed strings", isMetadata],
  waitForListenerMs: wholeNumber,
  signal: objectWith("addEventListener", "removeEventListener"),
};

export interface OpenStreamInit<Out, In> extends ConnectOptions {
  name: string;
  codec: Codec<Out, In>;
  token?: AccessToken | undefined;
  /** Carries bidirectional streams. */
  transport: () => Promise<Transport>;
  clock: Clock;
  /** Called with an error that nobody listens for, and with whose it is. */
  onUnheard: (what: string, error: StreamError) => void;
}

/** Opens a stream over a transport that is known to carry it. */
export function openStream<Out, In>(init: OpenStreamInit<Out, In>): Stream<Out, In> {
  const { name, signal, codec, token, transport, clock, waitForListenerMs = 0 } = init;
  const metadata = { ...init.metadata };
  const life = new StreamLife({ ...init, resume: true });
  const onUnheard = (error: StreamError) => init.onUnheard(`the stream to ${JSON.stringify(name)}`, error);
  const stream = new Stream<Out, In>(life, { codec, metadata, onUnheard });
  const error = nameError(name);
  if (error !== undefined) {
    life.fail(error);
    return stream;
  }
  const onAbort = () => void stream.destroy(canceledError(signal?.reason));
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  void attach({
    life,
    transport,
    method: "connect",
    open: { name, metadata, waitForListenerMs, capabilities: capabilitiesToWire(life.endpoint.capabilities) },
    clock,
    token,
  }).finally(() => signal?.removeEventListener("abort", onAbort));
  return stream;
}

/** Collections such as `Map` and `Headers` have no properties of their own, and so nothing of them would be sent. */
function isMetadata(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Symbol.iterator in value) return false;
  return Object.entries(value).flat().every(isWellFormed);
}
