import type { ConnectRouter } from "@connectrpc/connect";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import { callerOf, takePlace } from "./caller.js";
import type { Health } from "./health.js";

/** A request is the name of a service. */
const maxRequestBytes = 1_024;

/** Serves `grpc.health.v1.Health` on a router. */
export function healthRoutes(router: ConnectRouter, health: Health): void {
  router.service(
    HealthService,
    {
      check: ({ service }) => ({ status: health.check(service) }),
      list: () => ({
        statuses: Object.fromEntries(Object.entries(health.list()).map(([service, status]) => [service, { status }])),
      }),
      async *watch({ service }, context) {
        for await (const status of health.watch(service, context.signal, callerOf(context))) {
          takePlace(context);
          yield { status };
        }
      },
    },
    { readMaxBytes: maxRequestBytes },
  );
}
