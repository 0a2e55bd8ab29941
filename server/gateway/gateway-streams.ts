import type { Transport } from "@connectrpc/connect";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Claims } from "../admission/caller.js";
import { callerKey } from "../admission/caller-key.js";
import type { Admitted } from "../admission/policy/authorize.js";
import type { Grants } from "../admission/policy/grants.js";
import { StreamPool, type Wait } from "./stream-pool.js";

export interface GatewayStreamsInit {
  clock: Clock;
  grants: Grants;
  /** Reaches the relay within the process, for a caller that was let in. */
  transportOf: (admitted: Admitted) => Transport;
}

/** A call that needs a channel, and how long it waits for a listener whose connection is lost. */
export interface StreamCall extends Wait {
  name: string;
  admitted: Admitted;
  /** The token by which the caller was let in. */
  token: string;
}

/**
 * The streams that carry the calls of the gateway: those of one caller to one name are shared, because a listener hears
 * once for each stream who calls.
 */
export class GatewayStreams {
  readonly #init: GatewayStreamsInit;
  readonly #pools = new Map<string, StreamPool>();

  constructor(init: GatewayStreamsInit) {
    this.#init = init;
  }

  /**
   * Opens a channel to the listener of a name, for a caller that was let in with a token. The call waits as long
   * as the relay waits for the listener to come back. Nothing of it is sent meanwhile, so it can go on another stream.
   * Rejects with a `StreamError`.
   */
  async open({ name, admitted, token, ...wait }: StreamCall, request: ChannelRequest): Promise<Channel> {
    let pool = this.#poolOf(name, admitted, token);
    if (pool.isSuspended) {
      await pool.back(this.#init.clock, wait);
      pool = this.#poolOf(name, admitted, token);
    }
    return await pool.connections.open(request, undefined);
  }

  /** Ends the streams that have no call. */
  closeIdle(): void {
    for (const { connections } of this.#pools.values()) void connections.close();
  }

  #poolOf(name: string, admitted: Admitted, token: string): StreamPool {
    const key = poolKey(name, admitted, token);
    const found = this.#pools.get(key);
    // A stream whose grant was revoked ends in a turn of its own, and a caller that was let in since must not meet it.
    if (found !== undefined && !this.#init.grants.isRevoked(found.caller)) return found;
    const { clock, transportOf } = this.#init;
    const transport = transportOf(admitted);
    const pool: StreamPool = new StreamPool({
      name,
      caller: admitted.caller,
      clock,
      transport,
      // A call that waited may have opened a stream of a pool whose place has another one since.
      onEmpty: () => {
        if (this.#pools.get(key) === pool) this.#pools.delete(key);
      },
    });
    this.#pools.set(key, pool);
    return pool;
  }
}

/** Calls share a stream if a listener and a policy cannot tell them apart, and a revocation ends all of them. */
function poolKey(name: string, { caller, metadata }: Admitted, token: string): string {
  const { address, origin, claims } = caller;
  const facts = claims === undefined ? "" : factsOf(claims, metadata);
  return [name, address, origin, token, callerKey(caller) ?? "", facts].join("\n");
}

/** A grant that does not cut may be dated anew for each call, and its streams outlive it. */
function factsOf({ issuedAtMs: _, expiresAtMs, ...claims }: Claims, metadata: object): string {
  return JSON.stringify([claims, claims.cut ? expiresAtMs : undefined, metadata]);
}
