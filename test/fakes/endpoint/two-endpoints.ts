import { rawCodec } from "../../../stream/codec.js";
import { Endpoint } from "../../../stream/endpoint/endpoint.js";
import type { EndpointInit } from "../../../stream/endpoint/endpoint-options.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { initialCreditBytes, messageOverheadBytes } from "../../../stream/endpoint/sender.js";
import { costOf } from "../frames.js";

export type Value = string | Uint8Array<ArrayBuffer>;

export interface SideInit extends EndpointInit {
  maxFrameBytes: number;
  /** The messages that this side's application writes, in order, before it finishes. */
  messages: readonly Value[];
}

/** One endpoint, its application, and the wire from it to the other side. */
export class Side {
  readonly endpoint: Endpoint;
  readonly read: Value[] = [];
  onWire: Frame[] = [];
  readonly delivered: Frame[] = [];
  readonly #messages: Value[];
  /** The cost of each whole message on the wire that the other side has not read. */
  readonly #unreadCosts: number[] = [];
  #messageCost = 0;
  /** The highest number so far: frames up to it are sent again. */
  #sequence = 0;
  resentFrames = 0;
  sentBytes = 0;
  grantedBytes = initialCreditBytes;
  inFlightBytes = 0;
  largestCostBytes = 0;
  largestFrameBytes = 0;

  constructor({ messages, maxFrameBytes, ...options }: SideInit) {
    this.#messages = [...messages];
    this.endpoint = new Endpoint(options, () => {});
    this.endpoint.setMaxFrameBytes(maxFrameBytes);
  }

  /** Learns what the other side can do, which may be late. */
  meet(other: Side): void {
    this.endpoint.setPeer(other.endpoint.capabilities);
  }

  /** Whether something was left to write. */
  write(): boolean {
    const message = this.#messages.shift();
    if (message === undefined) return this.finish();
    this.endpoint.write(rawCodec.encode(message));
    return true;
  }

  /** Finishes once everything is written. */
  finish(): boolean {
    const { state } = this.endpoint;
    if (this.#messages.length > 0 || state.kind !== "open" || state.sending !== "open") return false;
    this.endpoint.finish();
    return true;
  }

  takeFrame(): boolean {
    const frame = this.endpoint.takeFrame();
    if (frame === undefined) return false;
    this.onWire.push(frame);
    if (frame.sequence <= this.#sequence) {
      if (frame.sequence > 0) this.resentFrames += 1;
      return true;
    }
    this.#sequence = frame.sequence;
    this.sentBytes += costOf(frame);
    this.inFlightBytes += costOf(frame);
    this.largestFrameBytes = Math.max(this.largestFrameBytes, costOf(frame));
    for (const { data, more } of frame.messages) {
      this.#messageCost += data.byteLength + messageOverheadBytes;
      this.largestCostBytes = Math.max(this.largestCostBytes, this.#messageCost);
      if (more) continue;
      this.#unreadCosts.push(this.#messageCost);
      this.#messageCost = 0;
    }
    return true;
  }

  deliverTo(other: Side): boolean {
    const frame = this.onWire.shift();
    if (frame === undefined) return false;
    this.delivered.push(frame);
    other.receive(frame);
    return true;
  }

  receive(frame: Frame): void {
    this.grantedBytes = Math.max(this.grantedBytes, frame.credit);
    this.endpoint.receive(frame);
  }

  /** Delivers again what arrived before: old numbers, old acks, old credit. */
  repeatTo(other: Side, nth: number): void {
    const frame = this.delivered[nth % Math.max(this.delivered.length, 1)];
    if (frame !== undefined) other.endpoint.receive(frame);
  }

  readFrom(other: Side): boolean {
    const message = this.endpoint.read();
    if (message === undefined) return false;
    other.inFlightBytes -= other.#unreadCosts.shift() ?? Number.NaN;
    this.read.push(rawCodec.decode(message) as Value);
    return true;
  }
}
