import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { exportedPath } from "../product.ts";

/** Bundles a module with everything that it imports, for browsers. */
async function bundle(entry: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, lib: { entry, formats: ["es"], fileName: "bundle" } },
  });
  const [result] = [built].flat();
  const chunk = result !== undefined && "output" in result ? result.output[0] : undefined;
  if (chunk === undefined) throw new Error(`${entry} could not be bundled`);
  return chunk.code;
}

/** The build of Socket.IO's client for pages, which its package contains. Empty if the package is not installed. */
function socketIoClient(): string {
  try {
    const main = createRequire(import.meta.url).resolve("socket.io-client");
    return readFileSync(join(dirname(main), "../../dist/socket.io.esm.min.js"), "utf8");
  } catch {
    return "";
  }
}

/** Serves a blank page that loads the bench. The caller must close the server. */
export async function servePage(): Promise<{ origin: string; server: Server }> {
  const browserEntry = (name: string) => join(dirname(exportedPath(name)), "index.js");
  const modules: Record<string, string> = {
    "/page.js": await bundle(fileURLToPath(new URL("page.ts", import.meta.url))),
    "/package.js": await bundle(browserEntry("browser-stream-server")),
    "/http.js": await bundle(browserEntry("browser-stream-server/http")),
    "/socket.io.js": socketIoClient(),
  };
  const page = `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>`;
  const server = createServer(({ url = "" }, response) => {
    const module = modules[url];
    response.setHeader("content-type", module === undefined ? "text/html" : "text/javascript");
    // An isolated page has a clock with steps of 5 µs; other pages have steps of 100 µs.
    response.setHeader("cross-origin-opener-policy", "same-origin");
    response.setHeader("cross-origin-embedder-policy", "require-corp");
    response.end(module ?? page);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
