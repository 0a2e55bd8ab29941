import { closeSync, openSync } from "node:fs";
import type { Server as TcpServer } from "node:net";
import { devNull } from "node:os";
import type { Warnings } from "../admission/warnings.js";

/**
 * Warns when a server that listens cannot accept connections. Node tells nobody that the process is out of file
 * descriptors: it accepts a connection with a descriptor kept for that, and resets it. So a descriptor is asked for
 * with each connection that was accepted, because the last one takes the last descriptor. Returns a function that stops
 * this.
 */
export function watchAccepting(server: Pick<TcpServer, "on" | "off">, warnings: Warnings): () => void {
  const onConnection = () => {
    if (!hasFreeDescriptor()) warnings.warn({ kind: "descriptors-exhausted" }, descriptorsExhausted);
  };
  server.on("connection", onConnection);
  return () => server.off("connection", onConnection);
}

const descriptorsExhausted =
  "no file descriptor is free, so new connections are reset: raise the limit of open files (ulimit -n)";

function hasFreeDescriptor(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return true;
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    return code !== "EMFILE" && code !== "ENFILE";
  }
}

/**
 * Warns of an error of a server that concerns one connection only, which the system could not hand over. Returns
 * whether it is one: then the server goes on listening, and the process must not end for want of an "error" listener.
 */
export function warnOfAcceptError(error: unknown, warnings: Warnings): boolean {
  const { syscall, message } = error as NodeJS.ErrnoException;
  if (syscall !== "accept") return false;
  warnings.warn({ kind: "accept-failed", error }, `a connection could not be accepted: ${message}`);
  return true;
}
