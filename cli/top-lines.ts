import {
  type CallerReport,
  type EndpointReport,
  LegState,
  type ShowResponse,
  Side,
  type StreamReport,
  StreamState,
  Wait,
} from "../gen/streamserver/v1/admin_pb.js";
import { formatBytes, formatDuration } from "./meter.js";
import { shellWord, visibleText } from "./visible-text.js";

/** A silence that is shorter says nothing. */
const minSilentMs = 5_000n;
/** Columns are two spaces apart. */
const gap = "  ";

const waitWords: Readonly<Record<Wait, string>> = {
  [Wait.UNSPECIFIED]: "-",
  [Wait.LISTEN]: "a listener",
  [Wait.ACCEPT]: "to accept",
  [Wait.RETURN]: "to come back",
  [Wait.ROOM]: "to take bytes",
  [Wait.ACK]: "to acknowledge",
  [Wait.READ]: "to read",
};

const sideWords: Readonly<Record<Side, string>> = {
  [Side.UNSPECIFIED]: "",
  [Side.CLIENT]: "client",
  [Side.LISTENER]: "listener",
};

/** Returns the lines of a report, for a terminal or a file. No text of strangers in them moves or hides other text. */
export function topLines(report: ShowResponse): string[] {
  const tables = [
    table(
      ["WAITS FOR", "SINCE", "STREAM", "NAME", "AGE", "CLIENT", "LISTENER"],
      report.streams.map((stream) => [
        waitOf(stream),
        stream.wait === Wait.UNSPECIFIED ? "" : duration(stream.waitMs),
        visibleText(stream.streamId),
        shellWord(stream.name),
        duration(stream.ageMs),
        endpointWords(stream.client, stream),
        endpointWords(stream.listener, stream),
      ]),
    ),
    table(
      ["LEASE", "NAME", "AGE", "WAITING", "LISTENER"],
      report.names.map(({ leaseId, name, ageMs, offers, suspended, listener }) => [
        visibleText(leaseId),
        shellWord(name),
        duration(ageMs),
        String(offers),
        suspended ? `away, ${callerWords(listener)}` : callerWords(listener),
      ]),
    ),
    table(
      ["REFUSED", "CALL", "REASON", "LAST", "CALLER", "NAME"],
      report.refusals.map(({ count, call, reason, lastMs, lastCaller, lastName }) => [
        String(count),
        visibleText(call),
        visibleText(reason),
        duration(lastMs),
        callerWords(lastCaller),
        lastName === "" ? "" : shellWord(lastName),
      ]),
    ),
  ];
  return [summary(report), ...tables.filter((lines) => lines.length > 0).flatMap((lines) => ["", ...lines])];
}

function summary({ totals }: ShowResponse): string {
  if (totals === undefined) return "";
  const { names, suspendedNames, offers, streams, suspendedStreams, legs, links, ageMs, ready } = totals;
  const away = (count: number) => (count === 0 ? "" : ` (${count} away)`);
  return [
    `up ${duration(ageMs)}${ready ? "" : ", going away"}`,
    `names ${names}${away(suspendedNames)}`,
    `streams ${streams}${away(suspendedStreams)}`,
    `waiting ${offers}`,
    `legs ${legs}`,
    `links ${links}`,
    `from clients ${rate(totals.clientBytesPerSecond)}`,
    `from listeners ${rate(totals.listenerBytesPerSecond)}`,
    `refusals ${totals.refusals} (${totals.refusalsPerSecond}/s)`,
  ].join(gap);
}

function waitOf({ wait, waitsFor, state }: StreamReport): string {
  if (wait === Wait.LISTEN) return waitWords[wait];
  if (wait !== Wait.UNSPECIFIED) return `${sideWords[waitsFor]} ${waitWords[wait]}`;
  return state === StreamState.ENDED ? "(ended)" : waitWords[wait];
}

function endpointWords(endpoint: EndpointReport | undefined, { ageMs }: StreamReport): string {
  if (endpoint === undefined || endpoint.leg === LegState.NONE) return "no leg yet";
  const { leg, legMs, caller, sentBytes, bytesPerSecond, silentMs, unackedFrames } = endpoint;
  const { windowLeftBytes, windowBytes, finished } = endpoint;
  const isSilent = silentMs >= minSilentMs && silentMs < ageMs;
  const used =
    windowLeftBytes === undefined || windowBytes === undefined || windowBytes === 0n
      ? 0
      : Math.round(100 - (Number(windowLeftBytes) * 100) / Number(windowBytes));
  return [
    leg === LegState.AWAY ? `away ${duration(legMs)}` : leg === LegState.OVER ? "over" : callerWords(caller),
    bytesPerSecond > 0n ? rate(bytesPerSecond) : `sent ${formatBytes(Number(sentBytes))}`,
    ...(finished ? ["finished"] : []),
    ...(isSilent ? [`silent ${duration(silentMs)}`] : []),
    ...(unackedFrames > 0n ? [`${unackedFrames} unacknowledged`] : []),
    ...(used >= 50 ? [`window ${used}% full`] : []),
  ].join(", ");
}

function callerWords(caller: CallerReport | undefined): string {
  if (caller === undefined) return "-";
  const place = caller.address || caller.door;
  const who = caller.subject || caller.origin;
  return visibleText(who === "" ? place : `${place} ${who}`);
}

/** Every column but the last one is as wide as its widest cell. */
function table(heads: string[], rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const all = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd(),
  );
}

function duration(ms: bigint): string {
  return formatDuration(Number(ms));
}

function rate(bytesPerSecond: bigint): string {
  return `${formatBytes(Number(bytesPerSecond))}/s`;
}
