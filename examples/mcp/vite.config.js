import { StreamServerProxy } from "browser-stream-server/server";
import { defineConfig } from "vite";

/** A relay in Vite's own server. Its gateway gives the tab a URL. */
function install({ httpServer }) {
  const proxy = StreamServerProxy({ gateway: { by: "path" } }).install(httpServer);
  httpServer.once("close", () => proxy.close());
}

export default defineConfig({
  cacheDir: "node_modules/.vite", // of this folder, so that two examples of one clone can run at once
  plugins: [{ name: "relay", configureServer: install, configurePreviewServer: install }],
});
