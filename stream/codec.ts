import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { bytesOf, tagOf } from "./endpoint/bytes.js";
import type { EncodedMessage, ReceivedMessage } from "./endpoint/sender.js";
import { invalidArgumentError } from "./error/options.js";
import { StreamError } from "./error/stream-error.js";
import { isThenable } from "./platform/deferred.js";
import { isWellFormed } from "./platform/well-formed.js";

/**
 * Turns values of the application into messages and back.
 *
 * - Both methods are synchronous, and throw on a value or a message that they do not take. `write` then throws, and
 *   harms nothing; a message that cannot be decoded ends the stream.
 * - `encode` returns `{ data: Uint8Array, text: boolean }`.
 *
 * @example
 * const dates: Codec<Date> = {
 *   encode: (date) => textCodec.encode(date.toISOString()),
 *   decode: (message) => new Date(textCodec.decode(message)),
 * };
 */
export interface Codec<Out, In = Out> {
  encode(value: In): EncodedMessage;
  /** The value may share memory with `message.data`, which may share its buffer with other messages. */
  decode(message: ReceivedMessage): Out;
}

/** Binary data as the platforms have it. */
export type Bytes = ArrayBuffer | ArrayBufferView;

/** The type of the messages that are read where no codec is given. */
export type RawMessage = string | Uint8Array<ArrayBuffer>;
/** The type of the messages that may be written where no codec is given. */
export type RawInput = string | Bytes;

/** The type of the messages that may be written to a stream of `Out` for which no other type is named. */
export type InputOf<Out> = RawMessage extends Out ? RawInput : Out;

/** Encodes a value. Throws a `StreamError` if the codec refuses the value or returns anything but a message. */
export function encodeMessage<In>(codec: Codec<unknown, In>, value: In): EncodedMessage {
  let encoded: Partial<EncodedMessage>;
  try {
    encoded = synchronous("encode", codec.encode(value));
  } catch (reason) {
    throw StreamError.from(reason, Code.InvalidArgument);
  }
  if (sureCodecs.has(codec)) return encoded as EncodedMessage;
  const { data, text } = encoded ?? {};
  const bytes = tagOf(data) === "[object Uint8Array]" ? bytesOf(data) : undefined;
  if (bytes === undefined || typeof text !== "boolean") {
    throw invalidArgumentError("encode returned no { data: Uint8Array, text: boolean }");
  }
  return bytes === data ? (encoded as EncodedMessage) : { data: bytes, text };
}

/** Decodes a message. Throws what the codec throws, and `invalid_argument` if it returns a promise. */
export function decodeMessage<Out>(codec: Codec<Out, never>, message: ReceivedMessage): Out {
  return synchronous("decode", codec.decode(message));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strings arrive as strings, binary data as Uint8Array in memory of its own. The default. */
export const rawCodec: Codec<RawMessage, RawInput> = {
  encode: (value) => (typeof value === "string" ? encodeText(value) : encodeBytes(value)),
  decode: (message) => (message.text ? decodeText(message) : ownMemory(message.data)),
};

/** Strings only. */
export const textCodec: Codec<string> = {
  encode: encodeText,
  decode(message) {
    if (!message.text) throw unexpectedError("text", "binary data");
    return decodeText(message);
  },
};

/** Binary data only, each message in memory of its own. */
export const bytesCodec: Codec<Uint8Array<ArrayBuffer>, Bytes> = {
  encode: encodeBytes,
  decode(message) {
    if (message.text) throw unexpectedError("binary data", "text");
    return ownMemory(message.data);
  },
};

/** Codecs of this package that return what they should, whatever they are given. */
const sureCodecs: ReadonlySet<unknown> = new Set([rawCodec, textCodec, bytesCodec]);

/** JSON values, as text. Nothing checks that a value that arrives is a `T`. */
export function jsonCodec<T = unknown>(): Codec<T> {
  return {
    encode(value) {
      return encodeText(stringify(value));
    },
    decode: (message) => JSON.parse(textCodec.decode(message)) as T,
  };
}

/** A Protobuf message by its schema, in the binary format. */
export function protobufCodec<S extends DescMessage>(schema: S): Codec<MessageShape<S>, MessageInitShape<S>> {
  return {
    encode: (value) => ({ data: toBinary(schema, create(schema, value)), text: false }),
    decode: (message) => fromBinary(schema, bytesCodec.decode(message)),
  };
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (reason) {
    throw StreamError.from(reason, Code.InvalidArgument);
  }
  if (text === undefined) throw unexpectedError("a JSON value", typeof value);
  return text;
}

function encodeText(value: string): EncodedMessage {
  if (typeof value !== "string") throw unexpectedError("a string", typeof value);
  // UTF-8 has no bytes for half of a surrogate pair: an encoder puts another character in its place.
  if (!isWellFormed(value)) throw invalidArgumentError("the text has half of a surrogate pair: use toWellFormed()");
  return { data: encoder.encode(value), text: true };
}

function encodeBytes(value: Bytes): EncodedMessage {
  const data = bytesOf(value);
  if (data === undefined) throw unexpectedError("a string, an ArrayBuffer or a view of one", typeof value);
  return { data, text: false };
}

function decodeText(message: ReceivedMessage): string {
  try {
    return decoder.decode(message.data);
  } catch (cause) {
    throw new StreamError("the text is not valid UTF-8", {
      failure: Failure.PROTOCOL_VIOLATION,
      hop: Hop.PEER,
      cause,
    });
  }
}

/** The data itself, or a copy if it is a view: an application may transfer the messages that it reads. */
function ownMemory(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  // One empty array stands for the data of all messages whose data is missing.
  if (data.byteLength > 0 && data.byteLength === data.buffer.byteLength) return data;
  // Not `slice`, which copies nothing of a Buffer.
  return new Uint8Array(data);
}

function synchronous<T>(method: string, result: T): T {
  if (!isThenable(result)) return result;
  // It may reject, which is nobody's to handle any more.
  result.then(undefined, () => {});
  throw invalidArgumentError(`${method} returned a promise`);
}

function unexpectedError(expected: string, actual: string): StreamError {
  return invalidArgumentError(`expected ${expected}, got ${actual}`);
}
