import type { StreamServerProxyOptions } from "../../../server/index.ts";
import type { Contender } from "../../contender.ts";
import { loadProduct, loadServer } from "../../product.ts";
import { ourEndpoints, type TransportFactory } from "./our-endpoints.ts";

/** The works have ten thousand streams, names or callers, and some more to measure with. */
const liveLimit = 20_000;

/** Serves the relay of `bss serve` in this process. Resolves with its port. */
export async function serveOurs(options: Pick<StreamServerProxyOptions, "gateway"> = {}): Promise<number> {
  const { StreamServerProxy, serveRelay } = await loadServer();
  const proxy = StreamServerProxy({
    ...options,
    prefix: ["/browser-server", ""],
    origins: "*",
    limits: { maxStreams: liveLimit, maxNames: liveLimit, maxGatewayCalls: liveLimit },
  });
  const { port } = await serveRelay({ proxy, port: 0, host: "127.0.0.1" });
  return port;
}

export function createOurs(createTransport: TransportFactory): Contender {
  return { keepsMessages: true, serve: () => serveOurs(), ...ourEndpoints(loadProduct, createTransport) };
}
