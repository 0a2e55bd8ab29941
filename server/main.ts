import { existsSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sirv from "sirv";
import { serveRelay } from "./relay-server.js";
import { StreamServerProxy } from "./stream-server-proxy.js";

const usage = `Usage: npm start -- [options]

Starts a relay with a page to try it.

  --port N         the port, 0 for any that is free (default 8080)
  --host ADDRESS   the interface (default all)
  --prefix PATH    the path of the relay (default /browser-server)
  --origin ORIGIN  lets pages of another origin in, "*" for all; may be repeated
  --help           this text
`;

/** The port cannot be had, or what else the machine refuses. */
const exitCodeFailure = 1;
/** The command line cannot be understood. */
const exitCodeUsage = 2;
const maxPort = 65_535;

interface MainOptions {
  port: number;
  host: string | undefined;
  prefix: string;
  origins: string[];
}

function readOptions(args: string[]): MainOptions | "help" {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: "string", default: "8080" },
      host: { type: "string" },
      prefix: { type: "string", default: "/browser-server" },
      origin: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const port = Number(values.port);
  if (values.port.trim() === "" || !Number.isInteger(port) || port < 0 || port > maxPort) {
    throw new RangeError(`--port takes a number from 0 to ${maxPort}, not "${values.port}"`);
  }
  return { port, host: values.host, prefix: values.prefix, origins: values.origin };
}

/** Undefined if there is nothing more to do. */
function tryReadOptions(): MainOptions | undefined {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options !== "help") return options;
    process.stdout.write(usage);
  } catch (reason) {
    fail(reason, exitCodeUsage);
  }
  return undefined;
}

function addresses(port: number, host: string | undefined): string[] {
  if (host !== undefined) return [`http://${host.includes(":") ? `[${host}]` : host}:${port}/`];
  const local = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => `http://${address}:${port}/`);
  return [`http://localhost:${port}/`, ...local];
}

async function main(): Promise<void> {
  const options = tryReadOptions();
  if (options === undefined) return;
  const { port, host, prefix, origins } = options;
  const proxy = StreamServerProxy({ prefix, origins: origins.includes("*") ? "*" : origins });
  const pageFolder = fileURLToPath(new URL("../page", import.meta.url));
  const page = existsSync(pageFolder) ? sirv(pageFolder, { etag: true }) : undefined;
  const server = await serveRelay({
    proxy,
    port,
    host,
    ...(page === undefined
      ? {}
      : {
          fallback(request, response) {
            // sirv uses nothing that the compatibility API of http2 lacks.
            page(request as IncomingMessage, response as ServerResponse, () => {
              response.statusCode = 404;
              response.end();
            });
          },
        }),
  });
  for (const address of addresses(server.port, host)) process.stdout.write(`${address}\n`);
  process.stdout.write(`relay under ${proxy.prefix}\n`);
  // Stays: Ctrl-C reaches this process twice when npm has started it, and the second time would cut the first one short.
  const stop = () => {
    void server.close();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

function fail(reason: unknown, exitCode: number): void {
  const [line] = (reason instanceof Error ? reason.message : String(reason)).split("\n");
  process.stderr.write(`${line}\n`);
  process.exitCode = exitCode;
}

main().catch((reason: unknown) => fail(reason, exitCodeFailure));
