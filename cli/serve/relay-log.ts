import type { Logger } from "pino";
import type { RelayWarning, StreamServerProxy } from "../../server/index.js";
import { visibleText } from "../../web/operator/visible-text.js";
import { shellWord } from "../terminal/shell-word.js";

/** The events that a relay logs for those who run it. */
export type RelayEvent =
  | { event: "listening"; addresses: string[]; prefix: string }
  | { event: "metrics.listening"; address: string }
  /** The address has NAME in place of a name. */
  | { event: "gateway.listening"; address: string }
  | { event: "key.created"; file: string }
  | { event: "secret.created"; file: string }
  | { event: "certificate.created"; file: string }
  | { event: "certificate.used"; file: string; sha256: string; validTo: string }
  | { event: "certificate.refused"; reason: string }
  | { event: "name.claimed"; name: string; leaseId: string; listed: boolean }
  | { event: "name.suspended"; name: string; leaseId: string; graceMs: number }
  | { event: "name.resumed"; name: string; leaseId: string }
  | { event: "name.released"; name: string; leaseId: string; reason: string }
  | { event: "warning"; kind: RelayWarning["kind"]; message: string; count: number }
  /** Lines of the log were dropped, because nobody read those before. */
  | { event: "log.dropped"; lines: number }
  | { event: "draining"; streams: number; timeoutMs: number }
  | { event: "stopped"; reason: string };

/** Logs an event for a program. */
export function logTo(logger: Pick<Logger, "info" | "warn">): (event: RelayEvent) => void {
  return (event) => (isTrouble(event) ? logger.warn(event) : logger.info(event));
}

function isTrouble({ event }: RelayEvent): boolean {
  return event === "warning" || event === "log.dropped";
}

/** Writes an event for a person, in a few words. */
export function createRelayLog(write: (line: string) => void): (event: RelayEvent) => void {
  return (event) => {
    for (const line of wordsOf(event)) write(`${visibleText(line)}\n`);
  };
}

/** Logs the names of a relay as they come and go. */
export function logNames(proxy: StreamServerProxy, log: (event: RelayEvent) => void): void {
  proxy.on("server.created", (name, { id, listed }) => log({ event: "name.claimed", name, leaseId: id, listed }));
  proxy.on("server.suspended", (name, { id }, graceMs) => log({ event: "name.suspended", name, leaseId: id, graceMs }));
  proxy.on("server.resumed", (name, { id }) => log({ event: "name.resumed", name, leaseId: id }));
  proxy.on("server.destroyed", (name, { id }, reason) => log({ event: "name.released", name, leaseId: id, reason }));
}

/** Logs the trouble that a relay warns of. */
export function logWarnings(proxy: StreamServerProxy, log: (event: RelayEvent) => void): void {
  proxy.on("warning", ({ kind, message, count }) => log({ event: "warning", kind, message, count }));
}

function wordsOf(event: RelayEvent): string[] {
  switch (event.event) {
    case "listening":
      return [...event.addresses, `relay under ${event.prefix || "/"}`];
    case "metrics.listening":
      return [`metrics at ${event.address}`];
    case "gateway.listening":
      return [`a name that serves HTTP is at ${event.address}`];
    case "key.created":
      return [`made a new key: ${shellWord(event.file)}`];
    case "secret.created":
      return [`made a new secret: ${shellWord(event.file)}`];
    case "certificate.created":
      return [`made a certificate: ${shellWord(event.file)}`];
    case "certificate.used":
      return [`certificate valid until ${event.validTo.slice(0, 10)}, SHA-256 ${event.sha256}`];
    case "certificate.refused":
      return [`the certificate stays as it was: ${event.reason}`];
    case "name.claimed":
      return [`claimed: ${shellWord(event.name)}`];
    case "name.suspended":
      return [`kept for ${event.graceMs / 1_000} s: ${shellWord(event.name)} (its listener is away)`];
    case "name.resumed":
      return [`taken up again: ${shellWord(event.name)}`];
    case "name.released":
      return [`released: ${shellWord(event.name)} (${event.reason})`];
    case "warning":
      return [`warning: ${event.message}`];
    case "log.dropped":
      return [`lines that nobody read were dropped: ${event.lines}`];
    case "draining":
      return [`open streams get ${event.timeoutMs / 1_000} s to end, and a second signal ends them: ${event.streams}`];
    case "stopped":
      return [event.reason];
  }
}
