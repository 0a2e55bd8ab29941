import { StreamError } from "../../stream/error/stream-error.js";

/** A message of HTTP as `fetch` has it. */
export type Message = Request | Response;
/** The values that `new Headers()` takes. The types of Node have no name for it. */
export type HeaderValues = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** The trailers of a message that came, which few ask for. */
interface ReceivedTrailers {
  readonly trailers: Promise<Headers>;
}

const received = new WeakMap<Message, ReceivedTrailers>();
const toSend = new WeakMap<Message, () => HeaderValues | Promise<HeaderValues>>();

/**
 * The trailers of a message that came over a stream, for which `Request` and `Response` have no place.
 *
 * - Resolves when the body has been read to its end, with empty headers if there were none. So read the body first.
 * - Rejects with the reason why the body could not be read to its end.
 *
 * @example
 * const response = await fetchNotebook("/export");
 * await response.arrayBuffer();
 * const checksum = (await trailersOf(response)).get("checksum");
 */
export function trailersOf(message: Message): Promise<Headers> {
  return received.get(message)?.trailers ?? Promise.resolve(new Headers());
}

/**
 * Returns the message, whose trailers are sent after its body: a response that a handler returns, or a request that is
 * given to a function of `createFetch`. A function is asked for them when the body has been sent.
 *
 * @example
 * serve(relayUrl, "notebook", () => withTrailers(new Response(body), () => ({ checksum: hash.digest() })));
 */
export function withTrailers<M extends Message>(
  message: M,
  trailers: HeaderValues | (() => HeaderValues | Promise<HeaderValues>),
): M {
  toSend.set(message, typeof trailers === "function" ? trailers : () => trailers);
  return message;
}

/** The trailers that are to be sent after a message. Rejects with what the application's function throws. */
export async function trailersToSend(message: Message | undefined): Promise<Headers> {
  const trailers = message && toSend.get(message);
  try {
    return new Headers(await trailers?.());
  } catch (reason) {
    throw StreamError.from(reason);
  }
}

/** Keeps the trailers of a message that came, for {@link trailersOf}. */
export function keepTrailers(message: Message, trailers: ReceivedTrailers): void {
  received.set(message, trailers);
}
