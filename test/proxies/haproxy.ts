import { readFileSync } from "node:fs";
import { join } from "node:path";
import { documented, tlsFile } from "./documented.js";
import { type RunningProxy, startProxy } from "./start-proxy.js";

/** The header in which the relay is told which HTTP a request came over, "1.1" or "2.0". */
export const httpVersionHeader = "x-http-version";

/** An HAProxy with the lines of docs/deploy.md, and one that adds a header. */
export function startHaproxy(relayOrigin: string): Promise<RunningProxy> {
  return startProxy({
    program: "haproxy",
    scheme: "https",
    // Warnings end it, such as those of timeouts that are missing.
    args: (folder) => ["-db", "-dW", "-f", join(folder, "haproxy.cfg")],
    files: (port, folder) => {
      const config = documented("haproxy", {
        "bind :443": `bind 127.0.0.1:${port}`,
        "/etc/haproxy/relay.example.com.pem": join(folder, "both.pem"),
        "default_backend relay": `http-request set-header ${httpVersionHeader} %[req.ver]\ndefault_backend relay`,
        "127.0.0.1:8080": new URL(relayOrigin).host,
      });
      const both = ["cert", "key"] as const;
      return {
        "haproxy.cfg": config,
        "both.pem": both.map((name) => readFileSync(tlsFile(name), "utf8")).join("\n"),
      };
    },
  });
}
