/** Keeps an endpoint attached to the relay: one call after the other, each on a connection of its own. */
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createRelay, statusOf } from "./relay.js";

const minBackoffMs = 100;
const maxBackoffMs = 5_000;
const ackDelayMs = 25;
const attachTimeoutMs = 20_000;
const resetTimeoutMs = 250;
const lingerMs = 5_000;
const highWaterBytes = 262_144; // `write` waits while more than so much waits to be sent

/** How long to wait before the next try, after so many that failed. */
export const backoffMs = (tries) => Math.random() * Math.min(maxBackoffMs, minBackoffMs * 2 ** tries);

/** A client of the relay on a connection of its own. Without the option, grpc-js shares those of all clients. */
export const connectRelay = (address) => createRelay(address, { "grpc.use_local_subchannel_pool": 1 });

export class ResumingStream {
  #address;
  #rpc;
  #endpoint;
  #changes = new EventEmitter().setMaxListeners(0);
  #told = "attached";
  #acking;
  /** Resolves when there is no leg and none will be. */
  #done;

  /** `rpc` is "Connect" or "Accept". */
  constructor(address, rpc, endpoint) {
    this.#address = address;
    this.#rpc = rpc;
    this.#endpoint = endpoint;
    this.#done = this.#stayAttached();
  }

  /** Resolves when the message is written, and not much waits to be sent. */
  async write(data, text) {
    const { outgoing } = this.#endpoint;
    while (outgoing.queuedBytes > highWaterBytes && !this.#endpoint.isOver) await once(this.#changes, "change");
    outgoing.write(data, text);
    this.#tell();
  }

  finish() {
    this.#endpoint.outgoing.finishing = true;
    this.#tell();
  }

  /** Yields each message: its `data`, and whether it is `text`. */
  async *[Symbol.asyncIterator]() {
    const { incoming } = this.#endpoint;
    for (;;) {
      if (this.#endpoint.error) throw this.#endpoint.error;
      const message = incoming.read();
      if (message) {
        this.#tell();
        yield message;
      } else if (incoming.finished) return;
      else await once(this.#changes, "change");
    }
  }

  /** Resolves when the stream has ended well, and throws otherwise. */
  async close() {
    while (!this.#endpoint.isOver) await once(this.#changes, "change");
    if (this.#endpoint.error) throw this.#endpoint.error;
    await this.#isDoneWithin(lingerMs); // The last ack goes out, and the relay ends the call.
  }

  /** Ends the stream at once. Resolves when the relay has been told. */
  async reset(code, reason) {
    const reset = { code, reason };
    this.#endpoint.reset(reset);
    const hasLeg = this.#endpoint.wasOpened;
    this.#tell();
    if (hasLeg && (await this.#isDoneWithin(resetTimeoutMs))) return;
    const relay = connectRelay(this.#address);
    const deadline = Date.now() + attachTimeoutMs;
    // If this fails, the stream has ended before, or the relay is gone and ends it when the grace period is over.
    await promisify(relay.Reject.bind(relay))(this.#endpoint.rejectRequest(reset), { deadline }).catch(() => {});
    relay.close();
  }

  async #isDoneWithin(ms) {
    const timeout = new AbortController();
    const late = sleep(ms, false, { signal: timeout.signal }).catch(() => false);
    const isDone = await Promise.race([this.#done.then(() => true), late]);
    timeout.abort();
    return isDone;
  }

  async #stayAttached() {
    const endpoint = this.#endpoint;
    let lostMs = performance.now();
    for (let tries = 0; ; tries++) {
      const how = await this.#runLeg();
      if (how !== "never opened") {
        tries = 0;
        lostMs = performance.now();
      }
      if (performance.now() - lostMs > endpoint.graceMs) endpoint.giveUp();
      this.#tell();
      if (how === "completed" || endpoint.state === "failed") return;
      if (how !== "drained") await sleep(backoffMs(tries));
    }
  }

  async #runLeg() {
    const endpoint = this.#endpoint;
    const relay = connectRelay(this.#address);
    const call = relay[this.#rpc]();
    const deadline = setTimeout(() => call.cancel(), attachTimeoutMs);
    let how = "never opened";
    const send = () => this.#send(call);
    try {
      call.write({ open: endpoint.nextOpen() });
      this.#changes.on("change", send);
      call.on("drain", send);
      for await (const response of call) {
        clearTimeout(deadline);
        how = "broken";
        endpoint.receive(response);
        if (response.draining) {
          endpoint.loseLeg();
          return "drained";
        }
        this.#tell();
      }
      endpoint.completeLeg();
      return endpoint.isOver ? "completed" : how;
    } catch (error) {
      const { message, detail } = statusOf(error);
      endpoint.refuseLeg(error.code, message, detail);
      return how;
    } finally {
      clearTimeout(deadline);
      this.#changes.off("change", send);
      call.cancel(); // does nothing to a call that has ended
      relay.close();
    }
  }

  /** Sends what the endpoint has to say on a leg, as far as the transport takes it. */
  #send(call) {
    const endpoint = this.#endpoint;
    let frame;
    while (!call.writableNeedDrain && !call.writableEnded) {
      frame = endpoint.take();
      if (!frame) break;
      call.write({ frame });
    }
    if (endpoint.saidAll && !call.writableEnded) call.end();
    if (!endpoint.ackWaits) return;
    this.#acking ??= setTimeout(() => {
      this.#acking = undefined;
      endpoint.incoming.asked = true;
      this.#tell();
    }, ackDelayMs);
  }

  /** After each change: wakes whoever waits for one, and tells a person of breaks. */
  #tell() {
    const { state } = this.#endpoint;
    if (state !== this.#told && (state === "attached" || state === "suspended")) {
      this.#told = state;
      console.error(state === "attached" ? "resumed" : "suspended");
    }
    this.#changes.emit("change");
  }
}
