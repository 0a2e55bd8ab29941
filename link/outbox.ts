import { Fifo } from "../stream/platform/fifo.js";
import { headBytes } from "./packet/header.js";
import type { OutgoingPacket } from "./packet/outgoing-packet.js";

/** Bytes that a packet counts for, beside its data, while it waits to be sent. */
export const packetOverheadBytes = 64;
/** Data waits for room while more than this waits to be sent. */
const highWaterMarkBytes = 262_144;

/** A sender of data, which pushes one packet or more when its turn has come. */
export interface TurnTaker {
  goOn(): void;
}

/** The packets of a link that wait to be sent, and the turns of the senders that wait for room among them. */
export class Outbox<Taker extends TurnTaker> {
  readonly #packets = new Fifo<OutgoingPacket>();
  /** The senders that wait for room, in the order of their coming. */
  readonly #turns = new Set<Taker>();
  /** The sender whose turn it is to push one packet. */
  #turn: Taker | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** How many packets wait. */
  get length(): number {
    return this.#packets.length;
  }

  push(packet: OutgoingPacket): void {
    this.#packets.push(packet);
    this.#bytes += sizeOf(packet);
  }

  /** Takes the next packets: at least one, and otherwise at most `maxBatchBytes`. Returns none if none wait. */
  takeBatch(maxBatchBytes: number): OutgoingPacket[] {
    const batch: OutgoingPacket[] = [];
    let roomBytes = maxBatchBytes;
    for (let next = this.#packets.peek(); next !== undefined; next = this.#packets.peek()) {
      const bytes = sizeOf(next);
      if (batch.length > 0 && bytes > roomBytes) break;
      this.#packets.shift();
      this.#bytes -= bytes;
      roomBytes -= bytes;
      batch.push(next);
    }
    this.#giveTurns();
    return batch;
  }

  /** Drops packets, and keeps the order of the others. */
  drop(isDropped: (packet: OutgoingPacket) => boolean): void {
    for (let left = this.#packets.length; left > 0; left -= 1) {
      const packet = this.#packets.shift() as OutgoingPacket;
      if (isDropped(packet)) this.#bytes -= sizeOf(packet);
      else this.#packets.push(packet);
    }
    this.#giveTurns();
  }

  /** Returns whether a sender may push a packet of data now. If not, it waits for its turn, in which it `goOn`s. */
  takeTurn(taker: Taker): boolean {
    if (this.#turn === taker || (this.#turns.size === 0 && this.#hasRoom)) {
      this.#turn = undefined;
      return true;
    }
    this.#turns.add(taker);
    return false;
  }

  /** Takes a sender out of the row. */
  leave(taker: Taker): void {
    this.#turns.delete(taker);
  }

  clear(): void {
    this.#packets.clear();
    this.#bytes = 0;
    this.#turns.clear();
  }

  get #hasRoom(): boolean {
    return this.#bytes <= highWaterMarkBytes;
  }

  /** Gives turns one by one, because the data of one sender can take the room of the next. */
  #giveTurns(): void {
    while (this.#hasRoom) {
      const [next] = this.#turns;
      if (next === undefined) return;
      this.#turns.delete(next);
      this.#turn = next;
      next.goOn();
      this.#turn = undefined;
    }
  }
}

function sizeOf(packet: OutgoingPacket): number {
  if ("data" in packet) return packetOverheadBytes + packet.data.byteLength;
  const { case: kind, value } = packet.content;
  if (kind === "reset") return packetOverheadBytes + value.reason.length;
  return packetOverheadBytes + (kind === "request" || kind === "response" ? headBytes(value.headers) : 0);
}
