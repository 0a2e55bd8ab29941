import { types } from "node:util";
import type { JsonValue } from "@bufbuild/protobuf";
import type { NodeRequest } from "../node-server.js";

/**
 * Returns the body of a request that another handler has read before: its bytes, or the value that was parsed from
 * JSON. Body parsers leave either in `body`, and some leave the bytes in `rawBody`. Returns undefined for a request
 * that has not been read to its end; a `body` that it has all the same is a parser's default.
 *
 * Where neither is left, the result fails with what `lostError` returns, but only once it is read: a GET has no body to
 * lose.
 */
export function parsedBody(
  request: NodeRequest,
  lostError: () => Error,
): AsyncIterable<Uint8Array> | JsonValue | undefined {
  if (request.readable) return undefined;
  const { body, rawBody } = request as { body?: unknown; rawBody?: unknown };
  // A Uint8Array of another realm is none by `instanceof`.
  if (types.isUint8Array(rawBody)) return iterableOf(() => rawBody);
  if (types.isUint8Array(body)) return iterableOf(() => body);
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  // Bytes other than text do not survive a parser of text, and an object does not tell which bytes it was made from.
  if (type !== "application/json" || body === undefined) {
    return iterableOf(() => {
      throw lostError();
    });
  }
  return typeof body === "string" ? iterableOf(() => Buffer.from(body)) : (body as JsonValue);
}

async function* iterableOf(read: () => Uint8Array): AsyncGenerator<Uint8Array> {
  yield read();
}
