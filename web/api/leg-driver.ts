import type { Transport } from "@connectrpc/connect";
import type { Opened, Capabilities as WireCapabilities } from "../../gen/streamserver/v1/relay_pb.js";
import type { LegCall, LegCallHandlers, LegMethod, Open } from "../../leg/leg-call.js";
import { transferredAwayError } from "../../stream/endpoint/bytes.js";
import { type Capabilities, capabilitiesFromWire } from "../../stream/endpoint/capabilities.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import { relayLostError } from "../../stream/error/failure-detail.js";
import type { Leg } from "../../stream/leg.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { afterTurn } from "../../stream/platform/turn.js";
import { legCallerOf, relayOf, transportError, transportFactsOf, transportKind } from "../transport/transport-facts.js";

export interface LegDrive {
  leg: Leg;
  transport: () => Promise<Transport>;
  method: LegMethod;
  open: Open;
  /** For Accept: the client's capabilities, from its offer. On Connect, `Accepted` brings the listener's. */
  peer?: Capabilities;
  clock: Clock;
}

/** The relay has this long to answer an `Open`, a connection to it included. */
const attachTimeoutMs = 20_000;
/**
 * The relay has this long to end the call after the stream was finished: its own wait for the peer, and 15 s more.
 */
const finishTimeoutMs = 45_000;
/** The linger timeout of a relay that does not name it, as a relay in this process does not. */
const usualLingerTimeoutMs = 30_000;
/** The reset has this long to get out; then the call is cancelled, which the peer hears without the reason. */
const resetTimeoutMs = 1_000;

/**
 * Runs the RPC of a leg from its `Open` to its end. Never rejects: the leg tells how it ended. A stream that is over
 * before the transport is there makes no call.
 */
export async function driveLeg(drive: LegDrive): Promise<void> {
  const driver = new LegDriver(drive);
  try {
    const transport = await drive.transport();
    if (drive.leg.endpoint.state.kind === "open") await driver.run(transport);
    else driver.onEnd(undefined);
  } catch (reason) {
    driver.onEnd(reason);
  }
}

type DriverState =
  | { kind: "opening" }
  /** The relay has the leg. "scheduled": frames are taken when this turn of the application is over. */
  | { kind: "attached"; sending: "idle" | "scheduled" | "full" | "ended" }
  | { kind: "over" };

class LegDriver implements LegCallHandlers {
  readonly #drive: LegDrive;
  readonly #over = new Deferred<void>();
  readonly #stopEnding: () => void;
  readonly #stopWaiting: () => void;
  #transport: Transport | undefined;
  #call: LegCall | undefined;
  #state: DriverState = { kind: "opening" };
  #reading: "on" | "paused" = "on";
  #acceptance: "awaited" | "being told" | "told" = "awaited";
  #header: Headers | undefined;
  #maxHeldEndMs = usualLingerTimeoutMs / 2;
  #stopHolding: (() => void) | undefined;

  constructor(drive: LegDrive) {
    const { leg, method, clock } = drive;
    this.#drive = drive;
    this.#stopEnding = endInTime(leg, method, clock, () => this.#call?.cancel());
    this.#stopWaiting = clock.after(attachTimeoutMs, () => {
      leg.fail(relayLostError(`${relayOf(this.#transport)} does not answer`));
    });
    leg.onSendable = () => this.#schedule();
    leg.onRoom = () => this.#makeRoom();
  }

  /** Resolves when the call is over. */
  run(transport: Transport): Promise<void> {
    const { method, open } = this.#drive;
    this.#transport = transport;
    this.#call = legCallerOf(transport)(method, open, this);
    return this.#over.promise;
  }

  onHeader(header: Headers): void {
    this.#header = header;
  }

  onOpened({ streamId, limits, heartbeatIntervalMs }: Opened): void {
    const { leg, peer } = this.#drive;
    const transport = this.#transport as Transport;
    transportFactsOf(transport).setHeartbeat?.(heartbeatIntervalMs);
    // The other half is for the ack to arrive, and for the calls to end by themselves.
    this.#maxHeldEndMs = (limits?.lingerTimeoutMs || usualLingerTimeoutMs) / 2;
    leg.attach({ streamId, maxFrameBytes: limits?.maxFrameBytes, transport: transportKind(transport, this.#header) });
    if (peer !== undefined) this.#accept(peer);
    this.#stopWaiting();
    if (this.#state.kind === "opening") this.#set({ kind: "attached", sending: "idle" });
    this.#schedule();
  }

  onAccepted(capabilities: WireCapabilities | undefined): void {
    this.#accept(capabilitiesFromWire(capabilities));
  }

  /** The application hears of it in a turn of its own, and of no message before. */
  #accept(peer: Capabilities): void {
    this.#drive.leg.accept(peer);
    this.#pause();
    this.#acceptance = "being told";
    afterTurn(() => {
      this.#acceptance = "told";
      this.#makeRoom();
    });
  }

  onFrame(frame: Frame): void {
    const { endpoint } = this.#drive.leg;
    endpoint.receive(frame);
    if (endpoint.holdsEnd) {
      this.#stopHolding ??= this.#drive.clock.after(this.#maxHeldEndMs, () => endpoint.acknowledgeEnd());
    }
    if (!endpoint.hasRoom) this.#pause();
  }

  onSuspended(): void {}

  onResumed(): void {}

  onDraining(): void {}

  onDrain(): void {
    if (this.#state.kind !== "attached" || this.#state.sending !== "full") return;
    this.#set({ kind: "attached", sending: "idle" });
    this.#send();
  }

  onTransferredAway(): void {
    this.#drive.leg.endpoint.reset(transferredAwayError());
  }

  onEnd(reason: unknown): void {
    if (this.#state.kind === "over") return;
    this.#set({ kind: "over" });
    const { leg } = this.#drive;
    leg.onSendable = () => {};
    leg.onRoom = () => {};
    if (reason === undefined) leg.ended();
    else leg.fail(transportError(reason, this.#transport, leg.isAttached));
    this.#stopEnding();
    this.#stopWaiting();
    this.#stopHolding?.();
    this.#over.resolve();
  }

  /** In a turn of its own, so that messages that are written together travel in one frame. */
  #schedule(): void {
    if (this.#state.kind !== "attached" || this.#state.sending !== "idle") return;
    this.#set({ kind: "attached", sending: "scheduled" });
    afterTurn(() => {
      if (this.#state.kind !== "attached" || this.#state.sending !== "scheduled") return;
      this.#set({ kind: "attached", sending: "idle" });
      this.#send();
    });
  }

  #send(): void {
    const { leg } = this.#drive;
    for (let frame = leg.endpoint.takeFrame(); frame !== undefined; frame = leg.endpoint.takeFrame()) {
      if (this.#call?.send(frame)) continue;
      if (this.#state.kind === "attached") this.#set({ kind: "attached", sending: "full" });
      return;
    }
    if (!leg.isOver || this.#state.kind !== "attached") return;
    this.#set({ kind: "attached", sending: "ended" });
    this.#call?.end();
  }

  #set(state: DriverState): void {
    this.#state = state;
  }

  #pause(): void {
    this.#reading = "paused";
    this.#call?.pause();
  }

  #makeRoom(): void {
    if (this.#reading === "on" || this.#acceptance === "being told" || !this.#drive.leg.endpoint.hasRoom) return;
    this.#reading = "on";
    this.#call?.resume();
  }
}

/**
 * Cancels the call if it does not end soon after the stream has.
 *
 * Before the listener has accepted, the relay takes no frames. A client that resets its stream then hangs up at once. A
 * listener's reset goes out when the relay has answered its `Open`, which has a deadline of its own.
 */
function endInTime(leg: Leg, method: LegMethod, clock: Clock, cancel: () => void): () => void {
  let stop = () => {};
  const onOver = (kind: "closed" | "resetting" | "failed") => {
    stop();
    if (kind !== "resetting" || leg.isAccepted) {
      stop = clock.after(kind === "closed" ? finishTimeoutMs : resetTimeoutMs, cancel);
    } else if (method === "connect") cancel();
  };
  leg.on("over", onOver);
  return () => {
    leg.off("over", onOver);
    stop();
  };
}
