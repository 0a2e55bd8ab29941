import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { contentTypeStreamProto } from "@connectrpc/connect/protocol-connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type ChannelRequest, ChannelResponseSchema, type Header } from "../../gen/streamserver/v1/link_pb.js";
import type { Parts } from "../../leg/parts.js";
import type { Channel } from "../../link/channel.js";
import { headersToWire } from "../../link/header.js";
import { Condition } from "../../stream/deferred.js";
import { fromConnectError, toConnectError } from "../../stream/failure-detail.js";
import { Fifo } from "../../stream/fifo.js";
import type { StreamError } from "../../stream/stream-error.js";
import type { Relay } from "../relay/relay.js";
import { type AttachLeg, attachLegByPath } from "./attach-leg.js";
import { connectEndEnvelope } from "./http2-leg.js";
import { callOverError, type LegCarrier, LegHandler } from "./leg-handler.js";

/** A request with any other header asks for another format, a compression or a deadline, which takes decoding. */
const plainHeaders = new Set(["content-type", "connect-protocol-version", "user-agent"]);

/**
 * Serves a channel that carries a leg in the Connect protocol, its bytes as they come. Resolves when nothing runs any
 * more. Returns undefined for a channel that is something else, or has to be decoded.
 */
export function serveChannelLeg(
  relay: Relay,
  channel: Channel,
  request: ChannelRequest,
  origin: string,
): Promise<void> | undefined {
  const attach = attachLegByPath.get(request.path);
  if (attach === undefined || !isPlain(request.headers)) return undefined;
  return new ChannelLeg(relay, attach, channel, origin).run();
}

function isPlain(headers: readonly Header[]): boolean {
  const types = headers.filter(({ name }) => name === "content-type").map(({ value }) => value);
  return types.join() === contentTypeStreamProto && headers.every(({ name }) => plainHeaders.has(name));
}

type Body = { kind: "open" } | { kind: "ended" };

class ChannelLeg implements LegCarrier {
  readonly origin: string;
  readonly #channel: Channel;
  readonly #handler: LegHandler;
  readonly #outgoing = new Fifo<Uint8Array | Parts>();
  readonly #sendable = new Condition();
  readonly #readable = new Condition();
  #reading: "on" | "paused" = "on";
  #response: Body = { kind: "open" };

  constructor(relay: Relay, attach: AttachLeg, channel: Channel, origin: string) {
    this.origin = origin;
    this.#channel = channel;
    this.#handler = new LegHandler(relay, this, attach);
  }

  async run(): Promise<void> {
    const channel = this.#channel;
    const { signal } = channel;
    const onAbort = () => {
      this.#handler.close(callOverError(isCanceled(signal.reason)));
      this.#readable.notify();
      this.#sendable.notify();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const receiving = this.#receive();
    try {
      const headers = headersToWire(new Headers({ "content-type": contentTypeStreamProto }));
      channel.respond(create(ChannelResponseSchema, { status: 200, headers }));
      await channel.send(this.#envelopes());
      channel.endResponse([]);
    } catch (reason) {
      channel.reset(fromConnectError(reason));
    }
    await receiving;
  }

  send(envelope: Parts): boolean {
    this.#outgoing.push(envelope);
    this.#sendable.notify();
    return false;
  }

  pause(): void {
    this.#reading = "paused";
  }

  resume(): void {
    this.#reading = "on";
    this.#readable.notify();
  }

  end(error: StreamError | undefined): void {
    this.#outgoing.push(connectEndEnvelope(error === undefined ? undefined : toConnectError(error)));
    this.#response = { kind: "ended" };
    this.#sendable.notify();
  }

  async *#envelopes(): AsyncGenerator<Uint8Array | Parts, void, undefined> {
    while (!this.#channel.signal.aborted) {
      const next = this.#outgoing.shift();
      if (next !== undefined) yield next;
      else if (this.#response.kind === "ended") return;
      else {
        this.#handler.drained();
        if (this.#outgoing.length === 0 && this.#response.kind === "open") await this.#sendable.changed();
      }
    }
  }

  async #receive(): Promise<void> {
    const { signal } = this.#channel;
    try {
      for await (const chunk of this.#channel.body()) {
        this.#handler.receive(chunk);
        while (this.#reading === "paused" && !signal.aborted) await this.#readable.changed();
      }
      this.#handler.endRequest();
    } catch {
      // The channel has failed, and its signal has said so.
    }
  }
}

/** A link that ends with a goodbye takes its legs along: they are lost, as they are when it ends without one. */
function isCanceled(reason: unknown): boolean {
  const { code, failure } = fromConnectError(reason);
  return code === Code.Canceled && failure !== Failure.LEG_LOST;
}
