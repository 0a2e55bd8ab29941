import { Hop } from "../../gen/streamserver/v1/failure_pb.js";

/** The hops as the caller of a call sees them, in logs and as labels. */
export const hopNames: Readonly<Record<Hop, string>> = {
  [Hop.UNSPECIFIED]: "unknown",
  [Hop.CALLER]: "caller",
  [Hop.RELAY]: "relay",
  [Hop.PEER]: "peer",
};
