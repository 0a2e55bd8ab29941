import { join } from "node:path";
import { documented, substitute, tlsFile } from "./documented.js";
import { type RunningProxy, startProxy } from "./start-proxy.js";

/** The variants of the configuration in docs/deploy.md, as replacements of its lines. */
const variants = {
  documented: {},
  "refuses-websockets": { "location / {": "if ($http_upgrade) { return 403; } location / {" },
  "strips-upgrades": { "proxy_set_header Upgrade $http_upgrade;": "", "proxy_set_header Connection upgrade;": "" },
} as const;

export interface NginxOptions {
  /** "http://127.0.0.1:…" */
  relayOrigin: string;
  variant: keyof typeof variants;
  /** Default: with the self-signed certificate. */
  tls?: boolean;
}

/**
 * An nginx with the lines of docs/deploy.md, or where browsers get no WebSocket though it is in front of the same
 * relay.
 */
export function startNginx({ relayOrigin, variant, tls = true }: NginxOptions): Promise<RunningProxy> {
  const { host } = new URL(relayOrigin);
  return startProxy({
    program: "nginx",
    scheme: tls ? "https" : "http",
    args: (folder) => ["-c", join(folder, "nginx.conf"), "-e", "stderr"],
    files: (port, folder) => {
      const listen = `listen 127.0.0.1:${port}`;
      const block = documented("nginx", {
        "listen 443": listen,
        "/etc/ssl/relay.example.com.pem": tlsFile("cert"),
        "/etc/ssl/relay.example.com.key": tlsFile("key"),
        "127.0.0.1:8080": host,
      });
      const server = substitute(block, { ...variants[variant], ...(tls ? {} : { " ssl http2;": ";" }) });
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (name) => `${name}_temp_path ${folder}/${name};`,
      );
      // nginx runs as one process, because workers outlive a master that is killed.
      const own = `daemon off; master_process off; user root; pid ${folder}/pid; error_log stderr; events {}`;
      // The limit counts on HTTP/2 too. By default nginx has a browser open another connection after 1,000 requests,
      // for which tests have no time.
      const limits = "keepalive_requests 50;";
      return { "nginx.conf": `${own} http { access_log off; ${limits} ${temporary.join(" ")} ${server} }` };
    },
  });
}
