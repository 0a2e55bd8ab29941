import type { ConnectRouter } from "@connectrpc/connect";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { Health } from "./health.js";
import { healthRoutes } from "./health-routes.js";
import { Reflection } from "./reflection.js";
import { reflectionRoutes } from "./reflection-routes.js";

interface StandardServices {
  health: boolean;
  reflection: boolean;
  shutdownSignal: AbortSignal | undefined;
}

/**
 * Serves gRPC's health and reflection of the services of a router, where the application does not serve them itself.
 */
export function addStandardServices(
  router: ConnectRouter,
  { health, reflection, shutdownSignal }: StandardServices,
): void {
  const services = new Set(router.handlers.map(({ service }) => service));
  const addsHealth = health && !services.has(HealthService);
  const addsReflection = reflection && !services.has(ServerReflection);
  if (addsHealth) services.add(HealthService);
  if (addsReflection) services.add(ServerReflection);
  if (addsHealth) {
    const served = new Health([...services].map(({ typeName }) => typeName));
    healthRoutes(router, served);
    if (shutdownSignal?.aborted) served.stop();
    else shutdownSignal?.addEventListener("abort", () => served.stop(), { once: true });
  }
  if (addsReflection) reflectionRoutes(router, new Reflection([...services]), systemClock);
}
