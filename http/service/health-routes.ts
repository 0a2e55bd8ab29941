import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import type { Health } from "./health.js";

/** A request is the name of a service. */
const maxRequestBytes = 1_024;

/** Counts a call that watches until it calls what is returned, or throws because there are too many. */
export type AdmitWatch = (context: HandlerContext) => () => void;

/** Serves `grpc.health.v1.Health` on a router. */
export function healthRoutes(router: ConnectRouter, health: Health, admitWatch: AdmitWatch = () => () => {}): void {
  router.service(
    HealthService,
    {
      check: ({ service }) => ({ status: health.check(service) }),
      list: () => ({
        statuses: Object.fromEntries(Object.entries(health.list()).map(([service, status]) => [service, { status }])),
      }),
      async *watch({ service }, context) {
        const release = admitWatch(context);
        for await (const status of health.watch(service, context.signal, release)) yield { status };
      },
    },
    { readMaxBytes: maxRequestBytes },
  );
}
