import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { AdminService } from "../../gen/streamserver/v1/admin_pb.js";
import { LinkService } from "../../gen/streamserver/v1/link_pb.js";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import type { RefusedCall } from "../relay/relay-events.js";

type CallKind = RefusedCall["call"];
type RelayMethod = keyof typeof RelayService.method;

/** The kinds of the calls of `RelayService`, one for each RPC. */
const relayKinds: Readonly<Record<RelayMethod, CallKind>> = {
  listen: "listen",
  connect: "connect",
  accept: "accept",
  reject: "reject",
  unlisten: "unlisten",
  renew: "renew",
  list: "list",
  watch: "watch",
};
const kindsByPath: ReadonlyMap<string, CallKind> = new Map(
  (Object.keys(relayKinds) as RelayMethod[]).map((method) => [
    `/${RelayService.typeName}/${RelayService.method[method].name}`,
    relayKinds[method],
  ]),
);
/** The kinds of the calls of other services, which have one each. */
const kindsByService: readonly (readonly [service: string, kind: CallKind])[] = [
  [AdminService.typeName, "admin"],
  [Health.typeName, "health"],
  [ServerReflection.typeName, "reflection"],
  [LinkService.typeName, "link"],
];

/**
 * Returns the kind of a call by the path of its RPC without a prefix, for the log and the metrics. A path that is none
 * of the relay's, as on a channel, is a call of its link.
 */
export function callKind(path: string): CallKind {
  const ofService = kindsByService.find(([service]) => path.startsWith(`/${service}/`));
  return kindsByPath.get(path) ?? ofService?.[1] ?? "link";
}
