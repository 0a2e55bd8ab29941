import { Code } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { LinkOpened, Packet } from "../../gen/streamserver/v1/link_pb.js";
import type { Link } from "../../link/link.js";
import { type OutgoingPacket, packetMessage } from "../../link/packet/outgoing-packet.js";
import { callError, fromConnectError, relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { noConnectionLeftError } from "../page/fetch-slot.js";

const sendTimeoutMs = 15_000;
/** A batch that got no answer is sent again after these delays; then the link is taken for lost. */
const sendRetryDelaysMs = [100, 400, 1_600];
/** A larger batch only delays the data that is written after it. */
const maxBatchBytes = 262_144;
/** The size of the first batches: even a slow network takes one to the relay within the timeout. */
const minBatchBytes = 32_768;
/** A batch of one such packet, with its headers, takes no more than `minBatchBytes`. */
export const maxSentPacketBytes = 31_744;
/** A Send that takes no longer may be followed by one of twice the size. */
const quickSendMs = 1_000;

/**
 * The first Send is small. Where it gets no answer beside Receive, it waits for one that needs the connection as well:
 * of tabs that all do, one gives up first, for each waits for another time between these.
 */
const firstSendTimeoutsMs = [5_000, 9_000] as const;
/** A page that stood still sees its deadline before the answer, which comes to a second try at once. */
const secondSendTimeoutMs = 4_000;

export interface Batch {
  linkId: string;
  linkToken: string;
  /** Makes it safe to send a batch again that may have arrived. */
  sequence: bigint;
  packets: Packet[];
}

export type Send = (batch: Batch, timeoutMs: number) => Promise<unknown>;

/** Sends what a fetch link has to send, one batch after the other, and ends the link when one cannot be sent. */
export class BatchSender {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #send: Send;
  readonly #random: () => number;

  constructor(link: Link, clock: Clock, send: Send, random: () => number) {
    this.#link = link;
    this.#clock = clock;
    this.#send = send;
    this.#random = random;
  }

  /**
   * Resolves when the link is over. `mayLackConnection`: whether `Send` may get no answer because the browser has no
   * connection left for it beside `Receive`, and not because of the relay.
   */
  async run(
    { linkId, linkToken, maxBatchBytes: relayMaxBatchBytes }: LinkOpened,
    mayLackConnection: boolean,
    relay = relayAt(),
  ): Promise<void> {
    const maxBytes = Math.min(maxBatchBytes, relayMaxBatchBytes);
    let roomBytes = Math.min(minBatchBytes, maxBytes);
    let sendBatch = (batch: Batch) => (mayLackConnection ? this.#sendFirst(batch) : this.#sendSurely(batch));
    const next = () => this.#link.nextBatch(roomBytes);
    try {
      let sequence = 1n;
      for (let batch = await next(); batch !== undefined; batch = await next()) {
        const packets = this.#link.withoutLost(batch);
        if (packets.length === 0) continue;
        const startedMs = this.#clock.now();
        await sendBatch({ linkId, linkToken, sequence, packets: packets.map(packetMessage) });
        sendBatch = (batch) => this.#sendSurely(batch);
        sequence += 1n;
        if (this.#clock.now() - startedMs > quickSendMs) roomBytes = Math.min(minBatchBytes, maxBytes);
        // The time of a nearly empty batch says nothing about a full one.
        else if (dataBytes(packets) >= roomBytes / 2) roomBytes = Math.min(2 * roomBytes, maxBytes);
      }
    } catch (reason) {
      this.#link.close(sendError(reason, relay));
    }
  }

  async #sendFirst(batch: Batch): Promise<void> {
    const [minMs, maxMs] = firstSendTimeoutsMs;
    for (const timeoutMs of [minMs + this.#random() * (maxMs - minMs), secondSendTimeoutMs]) {
      try {
        await this.#send(batch, Math.round(timeoutMs));
        return;
      } catch (reason) {
        const { failure, code } = fromConnectError(reason);
        if (failure !== Failure.UNSPECIFIED || !this.#link.isOpen) throw reason;
        if (code !== Code.DeadlineExceeded) return this.#sendSurely(batch);
      }
    }
    throw noConnectionLeftError();
  }

  async #sendSurely(batch: Batch): Promise<void> {
    for (const delayMs of [...sendRetryDelaysMs, undefined]) {
      try {
        await this.#send(batch, sendTimeoutMs);
        return;
      } catch (reason) {
        const { failure } = fromConnectError(reason);
        if (delayMs === undefined || failure !== Failure.UNSPECIFIED) throw reason;
        await this.#pause(delayMs);
        if (!this.#link.isOpen) throw reason;
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(delayMs, resolve);
      void this.#link.closed.then(() => {
        cancel();
        resolve();
      });
    });
  }
}

/** A relay that was started anew knows no link of before. That is one of the ways in which a relay is gone. */
const forgottenFailures: ReadonlySet<Failure> = new Set([Failure.LINK_GONE, Failure.TOKEN_INVALID]);

function sendError(reason: unknown, relay: string): StreamError {
  const error = callError(reason, relay, true);
  if (!forgottenFailures.has(error.failure)) return error;
  return relayLostError(`the connection to ${relay} is lost: ${error.message}`, reason);
}

function dataBytes(packets: readonly OutgoingPacket[]): number {
  return packets.reduce((sum, packet) => sum + ("data" in packet ? packet.data.byteLength : 0), 0);
}
