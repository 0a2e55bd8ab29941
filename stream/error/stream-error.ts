import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";

/** The code and the hop that come with each of the protocol's own failures: `failure.proto` in a table. */
export const failureTable: Readonly<Record<Failure, readonly [Code, Hop]>> = {
  [Failure.UNSPECIFIED]: [Code.Unknown, Hop.UNSPECIFIED],
  [Failure.NO_SUCH_NAME]: [Code.NotFound, Hop.RELAY],
  [Failure.NAME_TAKEN]: [Code.AlreadyExists, Hop.RELAY],
  [Failure.NAME_INVALID]: [Code.InvalidArgument, Hop.CALLER],
  [Failure.DECLINED]: [Code.PermissionDenied, Hop.PEER],
  [Failure.NOT_ACCEPTED_IN_TIME]: [Code.DeadlineExceeded, Hop.PEER],
  [Failure.LISTENER_GONE]: [Code.Unavailable, Hop.PEER],
  [Failure.LEG_LOST]: [Code.Unavailable, Hop.PEER],
  [Failure.PEER_CANCELED]: [Code.Canceled, Hop.PEER],
  [Failure.LIMIT_REACHED]: [Code.ResourceExhausted, Hop.RELAY],
  [Failure.MESSAGE_TOO_LARGE]: [Code.ResourceExhausted, Hop.PEER],
  [Failure.FRAME_TOO_LARGE]: [Code.ResourceExhausted, Hop.CALLER],
  [Failure.NOT_PERMITTED]: [Code.PermissionDenied, Hop.RELAY],
  [Failure.DRAINING]: [Code.Unavailable, Hop.RELAY],
  [Failure.PROTOCOL_VIOLATION]: [Code.InvalidArgument, Hop.CALLER],
  [Failure.SEQUENCE_GAP]: [Code.OutOfRange, Hop.CALLER],
  [Failure.CREDIT_EXCEEDED]: [Code.ResourceExhausted, Hop.CALLER],
  [Failure.TOKEN_INVALID]: [Code.PermissionDenied, Hop.CALLER],
  [Failure.OFFER_GONE]: [Code.FailedPrecondition, Hop.CALLER],
  [Failure.LEASE_GONE]: [Code.NotFound, Hop.RELAY],
  [Failure.LINK_GONE]: [Code.NotFound, Hop.RELAY],
  [Failure.CHANNEL_INVALID]: [Code.FailedPrecondition, Hop.CALLER],
  [Failure.FEATURE_UNSUPPORTED]: [Code.Unimplemented, Hop.RELAY],
  [Failure.FENCED]: [Code.Aborted, Hop.CALLER],
  [Failure.STREAM_GONE]: [Code.NotFound, Hop.RELAY],
};

/** The messages of a stream that are known to have reached the peer. */
export interface Delivery {
  /**
   * How many of the messages that were written, counted from the first one, have reached the peer's endpoint, at least.
   * Its application may not have read them.
   */
  messages: number;
  /** Whether the number is exact: no later message has reached the peer, and none will. */
  isFinal: boolean;
}

/** A limit of the relay that a call has met. */
export interface ReachedLimit {
  /** The name of the limit among the relay's options, such as "maxNames". */
  name: string;
  value: number;
  /**
   * When it is worth to try again, in milliseconds: for a rate when it allows so, and otherwise a guess. 0 where it is
   * not, because the request itself is too large.
   */
  retryAfterMs: number;
}

export interface StreamErrorOptions {
  /**
   * The failure, if it is one of the protocol's own; `Failure.UNSPECIFIED` for the application's and the transport's.
   */
  failure?: Failure | undefined;
  /** Default: the failure's code in {@link failureTable}. */
  code?: Code | undefined;
  /** Default: the failure's hop in {@link failureTable}. */
  hop?: Hop | undefined;
  cause?: unknown;
  /** The account of the stream that ended with the error. */
  delivery?: Delivery | undefined;
  /** The highest number of this side's frames that the relay knows the peer to have. */
  receivedSequence?: number | undefined;
  /** The limit that the call has met, with `Failure.LIMIT_REACHED`, `FRAME_TOO_LARGE` and `NAME_INVALID`. */
  limit?: ReachedLimit | undefined;
}

/**
 * Why a stream, a stream server or a link ended other than by being finished.
 *
 * - `code`: the Connect (and gRPC) status code, for a program to branch on.
 * - `failure`: which of the protocol's own failures, `Failure.UNSPECIFIED` if none.
 * - `hop`: where on the way it failed.
 * - `message`: for a person.
 * - `limit`: with `Failure.LIMIT_REACHED`, `FRAME_TOO_LARGE` and `NAME_INVALID`, the limit of the relay, if it says
 *   which.
 * - `delivery`: on the error of a stream that was lost or that the peer ended, the messages that reached the peer.
 *
 * @example
 * stream.on("error", ({ failure, delivery }) => {
 *   if (failure === Failure.LEG_LOST) console.error(`the peer has ${delivery?.messages} messages`);
 * });
 */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: Code;
  readonly failure: Failure;
  readonly hop: Hop;
  /** How many of the messages written to the stream have reached the peer. Undefined if the error is not a stream's. */
  declare readonly delivery?: Delivery;
  /**
   * The highest number of this side's frames that the relay knows the peer to have. Undefined if the relay told none;
   * `delivery` counts the messages in those frames.
   */
  declare readonly receivedSequence?: number;
  /** The limit that the call has met. Undefined for another failure, and if the relay does not say. */
  declare readonly limit?: ReachedLimit;

  /** An empty message is replaced by the words of the cause, or by the name of the failure or the code. */
  constructor(message: string, options: StreamErrorOptions = {}) {
    const { failure = Failure.UNSPECIFIED, code, hop, cause, delivery, receivedSequence, limit } = options;
    const [codeOfFailure, hopOfFailure] = failureTable[failure] ?? failureTable[Failure.UNSPECIFIED];
    const words = message.trim() === "" ? wordsOf(cause) || nameOf(failure, code ?? codeOfFailure) : message;
    super(words, cause === undefined ? undefined : { cause });
    this.failure = failure;
    this.code = code ?? codeOfFailure;
    this.hop = hop ?? hopOfFailure;
    // An error without them has no such properties, which a console shows.
    if (delivery !== undefined) this.delivery = delivery;
    if (receivedSequence !== undefined) this.receivedSequence = receivedSequence;
    if (limit !== undefined) this.limit = limit;
  }

  /** Returns a copy with the account of a stream. The error itself may be that of many streams, and stays as it is. */
  withDelivery(delivery: Delivery): StreamError {
    const { message, failure, code, hop, cause, receivedSequence, limit, stack } = this;
    const copy = new StreamError(message, { failure, code, hop, cause, delivery, receivedSequence, limit });
    if (stack !== undefined) copy.stack = stack;
    return copy;
  }

  /** A StreamError as it is, anything else as one with the given code and the original as its `cause`. */
  static from(reason: unknown, code: Code = Code.Unknown): StreamError {
    if (reason instanceof StreamError) return reason;
    return new StreamError(messageOf(reason), { code, cause: reason });
  }
}

/**
 * The error of a side that gives up a stream: `canceled`, with the words of the reason if there is one. A reason that
 * is a StreamError is returned as it is.
 */
export function canceledError(reason?: unknown): StreamError {
  if (reason instanceof StreamError) return reason;
  const message = wordsOf(reason) || "the stream was destroyed";
  return new StreamError(message, { failure: Failure.PEER_CANCELED, hop: Hop.CALLER, cause: reason ?? undefined });
}

/** Returns whether this side has given up: it has destroyed its stream, or its page was left. */
export function isOwnCancel({ code, hop }: StreamError): boolean {
  return code === Code.Canceled && hop === Hop.CALLER;
}

/**
 * The words for a person in anything that was thrown. Never empty. "all" adds those of the causes, as far as they say
 * more: of the platform's own errors, for those of an application may not be for others.
 */
export function messageOf(reason: unknown, whose: "own" | "all" = "own"): string {
  return wordsOf(reason, whose) || "no reason given";
}

/** The failure's name, or the code's where the failure is none of the protocol's own. */
export function nameOf(failure: Failure, code: Code): string {
  return (failure === Failure.UNSPECIFIED ? undefined : Failure[failure]) ?? Code[code] ?? "";
}

/** Causes are followed so deep: one may be the cause of itself. */
const maxCauses = 8;

/**
 * Empty if there is nothing to say. An Error without a message has its words in `errors`, `cause`, `code` or its name.
 */
function wordsOf(reason: unknown, whose: "own" | "all" = "own", left = maxCauses): string {
  if (typeof reason !== "object" || reason === null) return String(reason ?? "").trim();
  const { rawMessage, message, errors, cause, code, name } = reason as Record<string, unknown>;
  // A ConnectError's message begins with its code, whether words follow or not.
  const own = String(rawMessage ?? message ?? "").trim();
  if (left === 0 || (own !== "" && whose === "own")) return own;
  const parts = Array.isArray(errors) ? errors.slice(0, maxCauses) : [cause];
  const inner = new Set(parts.map((part) => wordsOf(part, whose, left - 1)));
  inner.delete("");
  const why = [...inner].join(", ");
  if (own === "")
    return (
      why || [code, name].find((word) => typeof word === "string" && !/^(Connect)?Error$/.test(word))?.toString() || ""
    );
  return own.includes(why) ? own : `${own}: ${why}`;
}

/** A status code from the wire; what is none reads as unknown. */
export function codeFromWire(code: number): Code {
  return code >= Code.Canceled && code <= Code.Unauthenticated ? code : Code.Unknown;
}

/** The most that a reason may take on the wire, in bytes of UTF-8. */
export const maxReasonBytes = 1024;

/** Cuts a reason to so many bytes of UTF-8 without cutting a character in two. */
export function cutReason(reason: string, maxBytes = maxReasonBytes): string {
  const bytes = new TextEncoder().encode(reason).subarray(0, maxBytes);
  return new TextDecoder().decode(bytes, { stream: true });
}
