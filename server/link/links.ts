import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest, LinkOpenedSchema } from "../../gen/streamserver/v1/link_pb.js";
import { atIntervals } from "../../link/at-intervals.js";
import type { Channel } from "../../link/channel/channel.js";
import { createChannelHandler } from "../../link/channel/channel-handler.js";
import type { Link } from "../../link/link.js";
import { LinkWatch } from "../../link/link-watch.js";
import { packetOverheadBytes } from "../../link/outbox.js";
import { goodbyeTimeoutMs } from "../../link/packet/link-message.js";
import { RelayLink, type RelayLinkOptions } from "../../link/relay-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Admission, Hold } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { RelayLimits } from "../admission/limits.js";
import { TokenBucket } from "../admission/rates/token-bucket.js";
import { CallTurns } from "../http/call-turns.js";
import type { RelayEvents } from "../relay/relay-events.js";
import { randomId, type TokenSigner } from "../relay/token.js";
import { callKind } from "../rpc/call-kind.js";
import { type CallControl, channelValues } from "../rpc/caller.js";
import { ChannelControl } from "./channel-control.js";
import { FloodError } from "./flood-error.js";
import { LinkGrant } from "./link-grant.js";

/** A frame of the default limit, 200,704 bytes, fits into a packet with 12 KiB for its envelope and fields. */
export const maxPacketBytes = 212_992;

/**
 * Packets of no channel that a client may send in each second, and at once beside a whole batch of them. A client pings
 * when it wakes from a sleep, and answers pings.
 */
const idlePacketsPerSecond = 100;
/**
 * Channels that a client may reset at once, and in each second: by default all that it may have, and once more those
 * opened in their place. A call that is opened and reset takes a tenth of a millisecond.
 */
const channelResets = { burst: 1_024, perSecond: 200 };

/**
 * Where a policy says who may call, a link ends that has had no call open for this long, as a multiple of
 * `openTimeoutMs`. Anybody may open a link, and one on which every call is refused is as idle as one without calls.
 * Clients of this package close a link 2 s after its last call.
 */
export const openTimeoutsWithoutCall = 2;
/**
 * A call on a channel that holds nothing is reset after this many times `openTimeoutMs`, beside the time that the
 * policy has: once for its first message, and once for its answer.
 */
const openTimeoutsForCall = 2;

/** A link, and the facts that the owner of its pipe needs: `LinkSockets` or `LinkRoutes`. */
export interface LiveLink {
  link: Link;
  /** The owner of the pipe calls `heard` for everything that comes. */
  watch: LinkWatch;
  /** Packets allowed in one batch. Each takes the relay some time, however small it is. */
  maxPackets: number;
  /** The first message to the client. */
  opened: MessageInitShape<typeof LinkOpenedSchema> & { linkId: string };
}

export interface LinksInit {
  limits: RelayLimits;
  clock: Clock;
  signer: TokenSigner;
  admission: Admission;
  events: RelayEvents;
  /** The handlers of the RPCs that channels may call. */
  handlers: readonly UniversalHandler[];
  /** Serves a channel and resolves when done. Returns undefined to leave the channel to the handlers. */
  serveChannel?: (
    channel: Channel,
    request: ChannelRequest,
    caller: Caller,
    linkToken: string,
    control: CallControl,
  ) => Promise<void> | undefined;
}

/** All links of the relay: those over WebSockets, and those over `Receive` and `Send`. */
export class Links {
  readonly #init: LinksInit;
  /** The links by their ids. */
  readonly #links = new Map<string, Link>();
  readonly #turns = new CallTurns();
  /** The error of links that are refused; undefined as long as none is. */
  #refusal: StreamError | undefined;

  constructor(init: LinksInit) {
    this.#init = init;
  }

  get counts(): { links: number; channels: number } {
    let channels = 0;
    for (const link of this.#links.values()) channels += link.size;
    return { links: this.#links.size, channels };
  }

  /**
   * Makes a link for a caller, whose calls on it have the access token of the link unless they bring their own, pings
   * it at intervals, and ends it when it goes silent, or has no call for long where there is a policy. The owner of the
   * pipe ends the link with the pipe. Throws FAILURE_LIMIT_REACHED, or the error that `refuse` or `close` was called
   * with.
   */
  open(caller: Caller, token: string, maxBatchBytes: number): LiveLink {
    const { limits, clock, signer, admission, events, handlers, serveChannel } = this.#init;
    const hold = this.#hold(caller);
    const onLink: Caller = { ...caller, door: "link" };
    const handle = createChannelHandler(handlers);
    const onRequest: RelayLinkOptions["onRequest"] = (channel, request) => {
      // A page counts its channels, and asks for none that it may not have: the relay never hears of those.
      if (!link.hasRoom) admission.full("maxChannelsPerLink", `a link has ${link.size} channels open`);
      return this.#turns.run(link, () => {
        const opening = this.#openingOf(channel, onLink, request.path);
        if (opening === undefined) return;
        const control = new ChannelControl(channel, clock, opening);
        const over =
          serveChannel?.(channel, request, onLink, token, control) ??
          handle(channel, request, channelValues(onLink, token, control));
        return over.finally(() => control.close());
      });
    };
    const maxPackets = maxBatchBytes / packetOverheadBytes;
    const link: Link = new RelayLink({
      maxChannels: limits.maxChannelsPerLink,
      maxPacketBytes,
      onRequest,
      onUnproductive: this.#floodWatch(maxPackets),
    });
    const linkId = randomId();
    this.#links.set(linkId, link);
    const openedAtMs = clock.now();
    events.tell({ kind: "link opened", linkId, caller });
    // `LinkWatch` hears the pong, and notices the silence if none comes.
    const stopBeating = atIntervals(clock, limits.heartbeatIntervalMs, () => link.ping().catch(() => {}));
    const stopWaiting = this.#endWhenIdle(link);
    new LinkGrant(link, onLink, clock, admission.grants);
    void link.closed.then((error) => {
      stopBeating();
      stopWaiting();
      this.#links.delete(linkId);
      events.tell({ kind: "link ended", linkId, caller, error, durationMs: clock.now() - openedAtMs });
      hold.release();
    });
    const opened = {
      linkId,
      linkToken: signer.sign("link", linkId),
      maxChannels: limits.maxChannelsPerLink,
      maxPacketBytes,
      maxBatchBytes,
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
    };
    const watch = new LinkWatch(link, clock, limits.heartbeatIntervalMs, clientSilentError);
    return { link, watch, maxPackets, opened };
  }

  /**
   * Counts a call on a channel as one that opens, until it holds something else or is over, and for as long as that may
   * take at most. Returns undefined for a channel that was reset, because there are too many.
   */
  #openingOf(channel: Channel, caller: Caller, path: string): Hold | undefined {
    const { admission, events, clock, limits } = this.#init;
    let hold: Hold;
    try {
      hold = admission.hold(caller, { kind: "opening call" });
    } catch (reason) {
      const error = StreamError.from(reason);
      events.refused(error, { call: callKind(path), caller });
      channel.reset(error);
      return undefined;
    }
    const timeoutMs = openTimeoutsForCall * limits.openTimeoutMs + limits.authorizeTimeoutMs;
    const cancelDeadline = clock.after(timeoutMs, () => channel.reset(lateError(timeoutMs)));
    return {
      release() {
        cancelDeadline();
        hold.release();
      },
    };
  }

  #hold(caller: Caller): Hold {
    const { admission, events } = this.#init;
    try {
      if (this.#refusal !== undefined) throw this.#refusal;
      admission.countLink(caller);
      return admission.hold(caller, { kind: "link" });
    } catch (reason) {
      const error = StreamError.from(reason);
      events.refused(error, { call: "link", caller });
      throw error;
    }
  }

  /** Ends a link that has no call open for long, if there is a policy. Returns what stops it. */
  #endWhenIdle(link: Link): () => void {
    const { admission, clock, limits } = this.#init;
    if (!admission.hasPolicy) return () => {};
    let cancelDeadline = () => {};
    link.onIdle = () => {
      cancelDeadline();
      cancelDeadline = clock.after(openTimeoutsWithoutCall * limits.openTimeoutMs, () => {
        // `onIdle` is called again when the last call ends.
        if (link.size === 0) link.close(idleError());
      });
    };
    link.onIdle();
    return () => cancelDeadline();
  }

  #floodWatch(maxPackets: number): RelayLinkOptions["onUnproductive"] {
    const { clock } = this.#init;
    const burst = maxPackets + idlePacketsPerSecond;
    const idle = new TokenBucket(clock, { burst, perSecond: idlePacketsPerSecond });
    const resets = new TokenBucket(clock, channelResets);
    return (kind) => {
      if (kind === "reset") return resets.take() ? undefined : this.floodError("more resets than it has calls");
      return idle.take() ? undefined : this.floodError("more packets for no call than it has any use for");
    };
  }

  /** Warns that a client is cut off for what it sent, and returns the error for its link. */
  floodError(what: string): FloodError {
    const error = new FloodError(what);
    this.#init.admission.cutOff(error.message);
    return error;
  }

  /**
   * Ends a link whose pipe ended as that of a page that is left may: at the goodbye, or with `cut` if none comes in
   * time.
   */
  endAtGoodbye(link: Link, cut: StreamError): void {
    if (link.size === 0) return link.close(cut);
    const stopWaiting = this.#init.clock.after(goodbyeTimeoutMs, () => link.close(cut));
    void link.closed.then(stopWaiting);
  }

  /** Ends a link with the goodbye of its page. Does nothing for a link that is over. */
  leave(linkId: string, goodbye: StreamError): void {
    this.#links.get(linkId)?.close(goodbye);
  }

  /** Opens no more links. Those that are open stay. */
  refuse(error: StreamError): void {
    this.#refusal = error;
  }

  /** Ends all links, and opens no more. */
  close(error: StreamError): void {
    this.refuse(error);
    for (const link of [...this.#links.values()]) link.close(error);
  }
}

function lateError(timeoutMs: number): StreamError {
  const message = `the call did not come, or was not read, within ${timeoutMs} ms`;
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, code: Code.DeadlineExceeded });
}

function idleError(): StreamError {
  return new StreamError("the link had no call for too long", { failure: Failure.LEG_LOST, hop: Hop.RELAY });
}

/** The client hears this of its own connection, where it is reached over another one, and takes up its legs again. */
function clientSilentError(): StreamError {
  return new StreamError("the relay heard nothing on the link", { failure: Failure.LEG_LOST, hop: Hop.RELAY });
}
