import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientResponse } from "@connectrpc/connect/protocol";
import { endStreamFlag, endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { dataOf } from "./envelope.js";
import { EnvelopeReader } from "./envelope-reader.js";
import type { Parts } from "./parts.js";

/**
 * Reads the messages of a streaming response in the Connect protocol. Nothing but the message that is being read is
 * held.
 *
 * - Throws the `ConnectError` that the call ended with, after the body has ended or broken off: an HTTP/2 stream that
 *   is left before its end has to be reset, and a server ends a connection after too many resets.
 * - `parse` gets a message in its envelope.
 */
export async function* responseMessages<T>(
  { header, body, trailer }: UniversalClientResponse,
  maxRpcMessageBytes: number,
  parse: (envelope: Parts) => T,
): AsyncGenerator<T, void, undefined> {
  let received: { flags: number; envelope: Parts } | undefined;
  const reader = new EnvelopeReader(maxRpcMessageBytes, (flags, envelope) => {
    received = { flags, envelope };
    return false;
  });
  let end: ResponseEnd | undefined;
  try {
    for await (const chunk of body) {
      // Bytes after the end of the call do not count.
      if (end !== undefined) continue;
      for (let goesOn = reader.push(chunk); !goesOn && end === undefined; goesOn = reader.resume()) {
        const { flags, envelope } = received as NonNullable<typeof received>;
        if (flags === endStreamFlag) end = readResponseEnd(envelope, header);
        else if (flags !== 0) throw new ConnectError(`an envelope with the flags ${flags}`, Code.Internal);
        else yield parse(envelope);
      }
    }
  } catch (reason) {
    // Servers and proxies may reset an HTTP/2 stream whose request goes on once they have said how the call ended.
    if (end === undefined) throw reason;
  }
  // A body that ends in order, and says nothing of how its call ended, breaks the protocol.
  if (end === undefined) throw new ConnectError("the response broke off", Code.Internal);
  end.metadata.forEach((value, name) => {
    trailer.set(name, value);
  });
  if (end.error !== undefined) throw end.error;
}

/** The last message of a response: its trailers, and an error if the call failed. */
export interface ResponseEnd {
  metadata: Headers;
  error: ConnectError | undefined;
}

/**
 * Reads the end of a response. The error has the response's headers in its metadata, as Connect's clients have them.
 */
export function readResponseEnd(envelope: Parts, header: Headers): ResponseEnd {
  const data = dataOf(envelope);
  // `{}`, as most calls end. Connect makes an error for each end that it reads.
  const isEmpty = data.byteLength === 2 && data[0] === 0x7b && data[1] === 0x7d;
  if (isEmpty) return { metadata: new Headers(), error: undefined };
  const { metadata, error } = endStreamFromJson(data);
  if (error !== undefined) {
    header.forEach((value, name) => {
      error.metadata.append(name, value);
    });
  }
  return { metadata, error };
}
