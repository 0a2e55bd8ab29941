import type { StreamError } from "../../stream/error/stream-error.js";
import type { Caller } from "../admission/caller.js";
import type { Revocation } from "../admission/policy/revocations.js";
import { giveErrorId } from "./error-id.js";
import type { NameChange } from "./lease/registry.js";
import type { Half, Role } from "./stream/half.js";
import type { StreamEnd } from "./stream/stream-end.js";

/** A stream, as its events tell of it. */
export interface LiveStream {
  readonly id: string;
  /** The name that the client connects to. Empty for a stream that was accepted in another process. */
  readonly name: string;
  /** The client, or the endpoint that came first with a stream that was accepted in another process. */
  readonly caller: Caller;
  /** The time since the relay first held the stream. */
  readonly ageMs: number;
  readonly client: Half;
  readonly listener: Half;
}

export type StreamChange =
  /** A client waits for a listener to accept the stream. */
  | { kind: "stream offered"; stream: LiveStream }
  | { kind: "stream accepted"; stream: LiveStream; waitedMs: number }
  /** A stream that was accepted in another process is made anew. */
  | { kind: "stream adopted"; stream: LiveStream; role: Role }
  /** An endpoint has lost its leg, and the relay waits for it. */
  | { kind: "stream suspended"; stream: LiveStream; role: Role }
  /** An endpoint has attached again. */
  | { kind: "stream resumed"; stream: LiveStream; role: Role }
  | { kind: "stream ended"; stream: LiveStream; end: StreamEnd }
  /** One frame of many passed the relay: the time from its arrival until the peer's carrier had it. */
  | { kind: "frame relayed"; latencyMs: number };

export type LinkChange =
  | { kind: "link opened"; linkId: string; caller: Caller }
  | { kind: "link ended"; linkId: string; caller: Caller; error: StreamError; durationMs: number };

/** A call that the relay refuses. */
export interface RefusedCall {
  /** The kind of the call. A link is one, whatever carries it, and so is a request for a file beside the RPCs. */
  call:
    | "listen"
    | "connect"
    | "accept"
    | "reject"
    | "unlisten"
    | "renew"
    | "list"
    | "watch"
    | "link"
    | "admin"
    | "health"
    | "reflection"
    | "file"
    | "gateway";
  caller?: Caller;
  /** The name that the caller has asked for. */
  name?: string;
  streamId?: string;
}

/** The caller is told the id too, where its protocol has room for it. */
export type Refusal = RefusedCall & { kind: "refused"; error: StreamError; errorId: string };

/** The bytes of the bodies of a call, or of the messages of a WebSocket, each way. */
export interface CallBytes {
  request: number;
  answer: number;
}

/** A call that the gateway has brought to a listener, or a WebSocket, is over. */
export interface CallEnd {
  kind: "call ended";
  name: string;
  method: string;
  caller: Caller;
  /** The status of the answer. Undefined if none has begun. */
  status: number | undefined;
  /** Why the call failed. Undefined for a call whose answer was handed on whole. */
  error: StreamError | undefined;
  bytes: CallBytes;
  durationMs: number;
}

/** An operator, or the relay's own process, has ended a stream or a lease, or has revoked access tokens. */
export interface OperatorAct {
  kind: "operator acted";
  act: "end stream" | "end lease" | "revoke";
  caller: Caller;
  streamId?: string;
  leaseId?: string;
  /** The words of the operator. */
  reason?: string;
  /** The tokens that are good no longer. */
  revocation?: Revocation;
}

export type RelayEvent =
  | { kind: "lease"; change: NameChange }
  | StreamChange
  | LinkChange
  | CallEnd
  | Refusal
  | OperatorAct;

/**
 * The events of a relay, for logs, metrics and traces. There is none for each message.
 *
 * An observer is called in the middle of what the relay does, so it must neither throw nor call the relay.
 */
export class RelayEvents {
  readonly #observers = new Set<(event: RelayEvent) => void>();

  /** Calls `observer` with each event until the returned function is called. */
  observe(observer: (event: RelayEvent) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Gives the error of a refusal an id, and tells of it. */
  refused(error: StreamError, refused: RefusedCall): void {
    this.tell({ kind: "refused", error, errorId: giveErrorId(error), ...refused });
  }

  tell(event: RelayEvent): void {
    for (const observer of this.#observers) observer(event);
  }
}
