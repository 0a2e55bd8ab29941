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
import type { EncodedMessage, ReceivedMessage } from "./sender.js";
import { StreamError } from "./stream-error.js";

/** Turns what the application writes into messages, and messages into what it reads. Throws on what does not fit. */
export interface Codec<Out, In = Out> {
  encode(value: In): EncodedMessage;
  /** What is read. To share memory with other messages, as the data may, is up to the codec. */
  decode(message: ReceivedMessage): Out;
}

/** Binary data as the platforms have it. */
export type Bytes = ArrayBuffer | ArrayBufferView;

/** What is read where no codec is given. */
export type RawMessage = string | Uint8Array<ArrayBuffer>;
/** What may be written where no codec is given. */
export type RawInput = string | Bytes;

/** What may be written where `Out` is read and nothing else is said. */
export type InputOf<Out> = RawMessage extends Out ? RawInput : Out;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strings arrive as strings, binary data as Uint8Array. The default. */
export const rawCodec: Codec<RawMessage, RawInput> = {
  encode: (value) => (typeof value === "string" ? encodeText(value) : encodeBytes(value)),
  decode: (message) => (message.text ? decodeText(message) : ownMemory(message.data)),
};

/** Strings only. */
export const textCodec: Codec<string> = {
  encode: encodeText,
  decode(message) {
    if (!message.text) throw unexpected("text", "binary data");
    return decodeText(message);
  },
};

/** Binary data only, each message in memory of its own. */
export const bytesCodec: Codec<Uint8Array<ArrayBuffer>, Bytes> = {
  encode: encodeBytes,
  decode(message) {
    if (message.text) throw unexpected("binary data", "text");
    return ownMemory(message.data);
  },
};

/** Codecs of which it is known that what they give shares no memory with the message, which may be given back then. */
export const copyingCodecs: ReadonlySet<unknown> = new Set([rawCodec, textCodec, bytesCodec]);

/** Whatever `JSON.stringify` takes, as text. The type parameter is a promise of the caller's; nothing checks it. */
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
  if (text === undefined) throw unexpected("a JSON value", typeof value);
  return text;
}

function encodeText(value: string): EncodedMessage {
  if (typeof value !== "string") throw unexpected("a string", typeof value);
  return { data: encoder.encode(value), text: true };
}

function encodeBytes(value: Bytes): EncodedMessage {
  if (value instanceof Uint8Array) return { data: value, text: false };
  if (ArrayBuffer.isView(value)) {
    return { data: new Uint8Array(value.buffer, value.byteOffset, value.byteLength), text: false };
  }
  if (value instanceof ArrayBuffer) return { data: new Uint8Array(value), text: false };
  throw unexpected("a string, an ArrayBuffer or a view of one", typeof value);
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

/** The data itself, or a copy if it is a view: an application may transfer what it gets. */
function ownMemory(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  // The empty array that stands for a field that is missing is everybody's.
  if (data.byteLength > 0 && data.byteLength === data.buffer.byteLength) return data;
  // Not `slice`, which copies nothing of a Buffer.
  return new Uint8Array(data);
}

function unexpected(expected: string, actual: string): StreamError {
  return new StreamError(`expected ${expected}, got ${actual}`, { code: Code.InvalidArgument });
}
