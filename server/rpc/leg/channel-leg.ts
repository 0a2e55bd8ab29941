import { create } from "@bufbuild/protobuf";
import { contentTypeStreamProto } from "@connectrpc/connect/protocol-connect";
import { type ChannelRequest, ChannelResponseSchema, type Header } from "../../../gen/streamserver/v1/link_pb.js";
import type { Parts } from "../../../leg/parts.js";
import type { Channel } from "../../../link/channel/channel.js";
import type { ChannelUser } from "../../../link/channel/channel-user.js";
import { headersToWire } from "../../../link/packet/header.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import type { Caller } from "../../admission/caller.js";
import type { Relay } from "../../relay/relay.js";
import { bearerToken } from "../bearer-token.js";
import { type CallControl, callEnd, noControl } from "../caller.js";
import { wireErrorOf } from "../wire-error.js";
import { connectEndEnvelope } from "./http2-leg.js";
import type { LegCarrier } from "./leg-carrier.js";
import { LegHandler } from "./leg-handler.js";
import { type LegRpc, legRpcByPath } from "./leg-rpc.js";

/** A request with any other header asks for another format, a compression or a deadline, which takes decoding. */
const plainHeaders = new Set(["authorization", "content-type", "connect-protocol-version", "user-agent"]);

/**
 * Serves a channel that carries a leg in the Connect protocol, its bytes as they come. Resolves when nothing runs
 * any more. Returns undefined for a channel that is something else, or has to be decoded.
 */
export function serveChannelLeg(
  relay: Relay,
  channel: Channel,
  request: ChannelRequest,
  caller: Caller,
  linkToken: string,
  control: CallControl = noControl,
): Promise<void> | undefined {
  const rpc = legRpcByPath.get(request.path);
  if (rpc === undefined || !isPlain(request.headers)) return undefined;
  const authorization = request.headers.find(({ name }) => name === "authorization")?.value;
  return new ChannelLeg(relay, rpc, channel, caller, bearerToken(authorization) || linkToken, control).run();
}

function isPlain(headers: readonly Header[]): boolean {
  const types = headers.filter(({ name }) => name === "content-type").map(({ value }) => value);
  return types.join() === contentTypeStreamProto && headers.every(({ name }) => plainHeaders.has(name));
}

class ChannelLeg implements LegCarrier, ChannelUser {
  readonly caller: Caller;
  readonly token: string;
  readonly #control: CallControl;
  readonly #channel: Channel;
  readonly #handler: LegHandler;
  readonly #over = new Deferred<void>();

  constructor(relay: Relay, rpc: LegRpc, channel: Channel, caller: Caller, token: string, control: CallControl) {
    this.caller = caller;
    this.token = token;
    this.#control = control;
    this.#channel = channel;
    this.#handler = new LegHandler(relay, this, rpc);
  }

  /** Resolves when the channel is over. */
  run(): Promise<void> {
    const headers = headersToWire(new Headers({ "content-type": contentTypeStreamProto }));
    this.#channel.respond(create(ChannelResponseSchema, { status: 200, headers }));
    this.#channel.use(this);
    return this.#over.promise;
  }

  get heldBytes(): number {
    return this.#control.heldBytes;
  }

  takePlace(): void {
    this.#control.takePlace();
  }

  send(envelope: Parts): boolean {
    return this.#channel.write(envelope);
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  /** A link carries its channels until its client leaves it. */
  retire(): void {}

  end(error: StreamError | undefined, timeoutMs: number): void {
    this.#control.expectEnd(timeoutMs);
    this.#channel.write(connectEndEnvelope(error === undefined ? undefined : wireErrorOf(error)));
    this.#channel.end();
  }

  cutOff(): void {
    this.#control.expectEnd(0);
  }

  onData(chunk: Uint8Array): void {
    this.#handler.receive(chunk);
  }

  onEnd(): void {
    this.#handler.endRequest();
  }

  onDrain(): void {
    this.#handler.drained();
  }

  onClosed(error: StreamError | undefined): void {
    this.#handler.close(error === undefined ? "canceled" : callEnd(error));
    this.#over.resolve();
  }
}
