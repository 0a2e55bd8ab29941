import type { Contender } from "../../contender.ts";
import { loadProduct, loadServer } from "../../product.ts";
import { ourEndpoints, type TransportFactory } from "./our-endpoints.ts";

/** The works have ten thousand streams or names, and some more to measure with. */
const liveLimit = 20_000;

/** Serves the relay of `bss serve` in this process. */
async function serve(): Promise<number> {
  const { StreamServerProxy, serveRelay } = await loadServer();
  const proxy = StreamServerProxy({
    prefix: ["/browser-server", ""],
    origins: "*",
    limits: { maxStreams: liveLimit, maxNames: liveLimit },
  });
  const { port } = await serveRelay({ proxy, port: 0, host: "127.0.0.1" });
  return port;
}

export function createOurs(createTransport: TransportFactory): Contender {
  return { keepsMessages: true, serve, ...ourEndpoints(loadProduct, createTransport) };
}
