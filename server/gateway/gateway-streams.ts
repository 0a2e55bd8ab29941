import type { Transport } from "@connectrpc/connect";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import { Connections } from "../../http/call/connections.js";
import { httpMetadata, linkStreamOptions } from "../../http/link/stream-link.js";
import type { LinkStream } from "../../http/link/stream-pipe.js";
import type { Channel } from "../../link/channel/channel.js";
import type { Clock } from "../../stream/platform/clock.js";
import { openStream } from "../../web/api/stream-client.js";
import type { Caller, Claims } from "../admission/caller.js";
import { callerKey } from "../admission/caller-key.js";
import type { Admitted } from "../admission/policy/authorize.js";
import type { Grants } from "../admission/policy/grants.js";

export interface GatewayStreamsInit {
  clock: Clock;
  grants: Grants;
  /** Reaches the relay within the process, for a caller that was let in. */
  transportOf: (admitted: Admitted) => Transport;
}

/** The streams of one caller to one listener. */
interface Pool {
  /** The caller whose grant the streams live by. */
  caller: Caller;
  connections: Connections;
  /** Streams that are not over. */
  streams: number;
}

/**
 * The streams that carry the calls of the gateway: those of one caller to one name are shared, because a listener hears
 * once for each stream who calls.
 */
export class GatewayStreams {
  readonly #init: GatewayStreamsInit;
  readonly #pools = new Map<string, Pool>();

  constructor(init: GatewayStreamsInit) {
    this.#init = init;
  }

  /**
   * Opens a channel to the listener of a name, for a caller that was let in with a token. Rejects with a `StreamError`.
   */
  open(name: string, admitted: Admitted, token: string, request: ChannelRequest): Promise<Channel> {
    const key = poolKey(name, admitted, token);
    let pool = this.#pools.get(key);
    // A stream whose grant was revoked ends in a turn of its own, and a caller that was let in since must not meet it.
    if (pool === undefined || this.#init.grants.isRevoked(pool.caller)) {
      pool = this.#newPool(key, name, admitted);
      this.#pools.set(key, pool);
    }
    return pool.connections.open(request, undefined);
  }

  /** Ends the streams that have no call. */
  closeIdle(): void {
    for (const { connections } of this.#pools.values()) void connections.close();
  }

  #newPool(key: string, name: string, admitted: Admitted): Pool {
    const { clock, transportOf } = this.#init;
    const transport = transportOf(admitted);
    const connect = (): LinkStream => {
      const stream = openStream({
        ...linkStreamOptions,
        name,
        metadata: httpMetadata,
        transport: async () => transport,
        clock,
        onUnheard: () => {},
      });
      pool.streams += 1;
      stream.on("close", () => {
        pool.streams -= 1;
        // A call that waited may have opened a stream of a pool whose place has another one since.
        if (pool.streams === 0 && this.#pools.get(key) === pool) this.#pools.delete(key);
      });
      return stream;
    };
    const pool: Pool = { caller: admitted.caller, connections: new Connections(name, connect, clock), streams: 0 };
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
