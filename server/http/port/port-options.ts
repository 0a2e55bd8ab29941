/**
 * The calls that a client of HTTP/2 may reset at once, and in each second, before Node cuts it off. A call that is
 * opened and reset takes a tenth of a millisecond, all of those at once in one turn of the event loop; Node's default
 * of 1,000 stalls others for up to 300 ms. Node's 33 a second would cut off a proxy that carries many clients over one
 * connection.
 */
const resetLimits = { streamResetBurst: 200, streamResetRate: 200 };

/**
 * A trusted proxy hands on the resets of all its callers, which may share a connection, so it is not cut off for them:
 * one caller could end the calls of all others. The proxy bounds what each of its callers does, and the relay counts
 * the calls of each. Node takes numbers of 32 bits.
 */
const resetLimitsOfProxies = { streamResetBurst: 2 ** 31, streamResetRate: 2 ** 31 };

/** Looks for connections of HTTP/1.1 whose head takes too long, in each `openTimeoutMs`. */
const looksPerTimeout = 2;

/** Node's time for a whole request of HTTP/1.1. It takes none for a head that is longer. */
const minRequestTimeoutMs = 300_000;

/**
 * The time for which a trusted proxy may keep an idle connection of HTTP/1.1. Where a server ends it first, a request
 * that the proxy sends meanwhile is lost, and its caller gets 502. It is longer than the proxies' own times: 60 s of
 * nginx and of AWS, 120 s of Caddy, and 600 s of Google Cloud, which asks its servers for 620 s.
 */
const keepAliveTimeoutOfProxiesMs = 620_000;

/** The options of the relay's own servers that differ from Node's. */
export interface PortOptions {
  http1: Http1Options;
  /** The options for connections of trusted proxies in place of `http1`. */
  http1OfProxies: Http1Options & { keepAliveTimeout: number };
  http2: ResetLimits;
  /** The options for connections of trusted proxies in place of `http2`. */
  http2OfProxies: ResetLimits;
}

interface Http1Options {
  headersTimeout: number;
  requestTimeout: number;
  connectionsCheckingInterval: number;
}

interface ResetLimits {
  streamResetBurst: number;
  streamResetRate: number;
}

/** A client has `openTimeoutMs` for the head of a request. Node's own 60 s are seen to every 30 s. */
export function portOptions(openTimeoutMs: number): PortOptions {
  const connectionsCheckingInterval = Math.ceil(openTimeoutMs / looksPerTimeout);
  const requestTimeout = Math.max(minRequestTimeoutMs, openTimeoutMs);
  const http1 = { headersTimeout: openTimeoutMs, requestTimeout, connectionsCheckingInterval };
  return {
    http1,
    http1OfProxies: { ...http1, keepAliveTimeout: keepAliveTimeoutOfProxiesMs },
    http2: resetLimits,
    http2OfProxies: resetLimitsOfProxies,
  };
}
