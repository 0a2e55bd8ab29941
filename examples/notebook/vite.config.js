import { StreamServerProxy } from "browser-stream-server/server";
import { defineConfig } from "vite";

/** A relay in Vite's own server, with a URL for each name: /~/NAME/ */
function install({ httpServer }) {
  const proxy = StreamServerProxy({ gateway: { by: "path" } }).install(httpServer);
  httpServer.once("close", () => proxy.close());
}

export default defineConfig({
  plugins: [{ name: "relay", configureServer: install, configurePreviewServer: install }],
});
