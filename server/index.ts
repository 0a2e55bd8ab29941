export type { Origins } from "./cors.js";
export type { LeaseEnd } from "./lease.js";
export { defaultLimits, type RelayLimits } from "./limits.js";
export { type RelayServer, type RelayServerOptions, serveRelay } from "./relay-server.js";
export type { TlsOptions } from "./secure-port.js";
export {
  type LeaseInfo,
  type RelayCounts,
  StreamServerProxy,
  type StreamServerProxyEvents,
  type StreamServerProxyOptions,
} from "./stream-server-proxy.js";
