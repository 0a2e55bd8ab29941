import { connect, type Socket } from "node:net";
import { Code, type Stream, StreamError } from "../../web/node.js";
import { maxPort, UsageError } from "../command/command.js";
import { bridge } from "./tcp-bridge.js";

/** A TCP server that clients are to reach. */
export interface TcpTarget {
  host: string;
  port: number;
}

/** Less than the relay lets an offer wait, so that the client hears the reason. */
const connectTimeoutMs = 8_000;

/** "HOST:PORT", "[IPV6]:PORT" or "PORT", which is this machine's. Throws a `UsageError`. */
export function parseTcpTarget(text: string): TcpTarget {
  const [, ipv6, name, digits = text] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (!/^\d+$/.test(digits) || port < 1 || port > maxPort) {
    throw new UsageError(`--to takes HOST:PORT, not ${JSON.stringify(text)}`);
  }
  return { host: ipv6 ?? name ?? "localhost", port };
}

/**
 * Connects a client's stream to the target, and accepts the client when that has worked; otherwise declines it with
 * `unavailable`. Resolves when both have finished; rejects with a `StreamError` otherwise.
 */
export async function serveFromTcp(stream: Stream, target: TcpTarget): Promise<void> {
  // The caller of this function hears of it, and the package need not print it.
  stream.on("error", () => {});
  const socket = connect({ ...target, allowHalfOpen: true });
  // A client that leaves while the target is connected to must leave no connection behind.
  const hangUp = () => socket.destroy();
  stream.once("close", hangUp);
  try {
    await connected(socket);
  } catch (cause) {
    socket.destroy();
    const error = new StreamError(`${target.host}:${target.port} cannot be reached (${codeOf(cause)})`, {
      code: Code.Unavailable,
      cause,
    });
    stream.destroy(error);
    throw error;
  } finally {
    stream.off("close", hangUp);
  }
  await bridge(socket, stream);
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(Object.assign(new Error(), { code: "ETIMEDOUT" })), connectTimeoutMs);
    const settle = (action: () => void) => () => {
      clearTimeout(timer);
      action();
    };
    socket.once("connect", settle(resolve));
    socket.once("error", (error) => settle(() => reject(error))());
    socket.once(
      "close",
      settle(() => reject(Object.assign(new Error(), { code: "ECONNABORTED" }))),
    );
  });
}

function codeOf(reason: unknown): string {
  return (reason as NodeJS.ErrnoException).code ?? String(reason);
}
