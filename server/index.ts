export type { AccessKeyOptions } from "./access/access-keys.js";
export { type MintTokenOptions, mintToken } from "./access/mint-token.js";
export type { StreamAction, StreamRights } from "./access/stream-rights.js";
export { type TokenPolicy, type TokenPolicyOptions, tokenPolicy } from "./access/token-policy.js";
export type { Caller, Claims, Door } from "./admission/caller.js";
export { defaultLimits, type RelayLimits } from "./admission/limits.js";
export type { AdminRequest, Authorize, AuthorizeAdmin, AuthorizeRequest, Grant } from "./admission/policy/authorize.js";
export type { Revocation } from "./admission/policy/revocations.js";
export type { RelayWarning } from "./admission/warnings.js";
export type { GatewayOptions } from "./gateway/gateway-options.js";
export type { Origins } from "./http/page/cors.js";
export type { Hosts } from "./http/page/hosts.js";
export type { TlsOptions } from "./http/port/secure-port.js";
export type { DrainOptions, StreamServerProxyOptions } from "./proxy-options.js";
export type { LeaseEnd } from "./relay/lease/lease.js";
export { type RelayServer, type RelayServerOptions, serveRelay } from "./relay-server.js";
export {
  type LeaseInfo,
  type RelayCounts,
  StreamServerProxy,
  type StreamServerProxyEvents,
} from "./stream-server-proxy.js";
export {
  logRelay,
  type MetricsServer,
  type MetricsServerOptions,
  type RelayLogger,
  type RelayMetrics,
  relayMetrics,
  serveMetrics,
  traceRelay,
} from "./telemetry.js";
