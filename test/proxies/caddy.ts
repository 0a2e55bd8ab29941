import { join } from "node:path";
import { documented, tlsFile } from "./documented.js";
import { type RunningProxy, startProxy } from "./start-proxy.js";

/** A Caddy with the lines of docs/deploy.md. It gets no certificate by itself here, and opens no ports but one. */
export function startCaddy(relayOrigin: string): Promise<RunningProxy> {
  return startProxy({
    program: "caddy",
    scheme: "https",
    args: (folder) => ["run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"],
    files: (port) => {
      const site = documented("caddy", {
        "relay.example.com {": `https://127.0.0.1:${port} {\ntls ${tlsFile("cert")} ${tlsFile("key")}`,
        "127.0.0.1:8080": new URL(relayOrigin).host,
      });
      return { Caddyfile: `{\nadmin off\nauto_https off\nlog {\nlevel ERROR\n}\n}\n${site}` };
    },
  });
}
