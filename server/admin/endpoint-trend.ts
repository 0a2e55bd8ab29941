import { initialCreditBytes } from "../../stream/endpoint/sender.js";
import type { Half } from "../relay/stream/half.js";

/** The features of an endpoint's peer without which the endpoint does not know what the peer has had. */
export interface PeerFeatures {
  acks: boolean;
  grantsCredit: boolean;
}

/** A condition of an endpoint that began at a look, and has held at each look since, without any progress. */
interface Standstill {
  sinceMs: number;
  progress: number;
}

/** How what one endpoint sends gets on, from one look at its half to the next. */
export class EndpointTrend {
  /** When the endpoint last sent a message or its fin, as the first look saw that came after it. */
  spokeAtMs: number;
  bytesPerSecond = 0;
  /** Frames that the peer has not acknowledged. 0 for a peer that acknowledges none. */
  unackedFrames = 0;
  /** The bytes that the endpoint may send before its peer grants more; undefined where that is not known. */
  windowLeftBytes: number | undefined;
  /** The most that the endpoint might send after a grant; undefined where that is not known. */
  windowBytes: number | undefined;
  #bytes = 0;
  #sequence = 0;
  #heldBack: Standstill | undefined;
  #unacked: Standstill | undefined;
  #blocked: Standstill | undefined;

  constructor(openedAtMs: number) {
    this.spokeAtMs = openedAtMs;
  }

  /** Since when a frame of the endpoint has waited for its peer; undefined if none does. */
  get heldBackSinceMs(): number | undefined {
    return this.#heldBack?.sinceMs;
  }

  /** Since when the peer has acknowledged nothing of what it has not acknowledged; undefined if it has all. */
  get unackedSinceMs(): number | undefined {
    return this.#unacked?.sinceMs;
  }

  /** Since when half of the window or more has been used, and nothing was granted; undefined if less is used. */
  get blockedSinceMs(): number | undefined {
    return this.#blocked?.sinceMs;
  }

  /** Looks at the half of the endpoint. `elapsedMs` is the time since the look before. */
  look(half: Half, peer: PeerFeatures, nowMs: number, elapsedMs: number): void {
    const { bytes, frames, sequence, costBytes, isWhole } = half.sent;
    const { creditBytes, windowBytes } = half.peer.sent;
    const ackedSequence = half.peer.receivedSequence;
    this.bytesPerSecond = elapsedMs > 0 ? Math.round(((bytes - this.#bytes) * 1_000) / elapsedMs) : 0;
    this.#bytes = bytes;
    if (sequence !== this.#sequence) this.spokeAtMs = nowMs;
    this.#sequence = sequence;
    this.unackedFrames = peer.acks ? Math.max(0, sequence - ackedSequence) : 0;
    const isKnown = peer.grantsCredit && isWhole && half.peer.sent.isWhole;
    this.windowLeftBytes = isKnown ? Math.max(0, Math.max(creditBytes, initialCreditBytes) - costBytes) : undefined;
    this.windowBytes = isKnown ? Math.max(windowBytes, initialCreditBytes) : undefined;
    this.#heldBack = standstill(this.#heldBack, half.isHeldBack, frames, nowMs);
    this.#unacked = standstill(this.#unacked, this.unackedFrames > 0, ackedSequence, nowMs);
    this.#blocked = standstill(this.#blocked, this.#isBlocked, creditBytes + costBytes, nowMs);
  }

  /** A peer that reads grants more for each quarter of its window, so it has not read another quarter at least. */
  get #isBlocked(): boolean {
    const { windowLeftBytes, windowBytes } = this;
    return windowLeftBytes !== undefined && windowBytes !== undefined && windowLeftBytes * 2 <= windowBytes;
  }
}

function standstill(
  before: Standstill | undefined,
  holds: boolean,
  progress: number,
  nowMs: number,
): Standstill | undefined {
  if (!holds) return undefined;
  return before?.progress === progress ? before : { sinceMs: nowMs, progress };
}
