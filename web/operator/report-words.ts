// The words of a report, for the command and for the operator's page. Text of strangers in them is as it came: whoever
// shows it escapes what moves or hides other text.
import { formatBytes, formatDuration } from "./amounts.js";
import type { CallerReport, EndpointReport, StreamReport, Totals } from "./report.js";

/** A silence that is shorter says nothing. */
const minSilentMs = 5_000;
/** A window that is less full says nothing. */
const minFullPercent = 50;

const waitWords: Readonly<Record<string, string>> = {
  WAIT_ACCEPT: "to accept",
  WAIT_RETURN: "to come back",
  WAIT_ROOM: "to take bytes",
  WAIT_ACK: "to acknowledge",
  WAIT_READ: "to read",
};

/** The words for the thing that a stream waits for, such as "listener to read". Empty for nothing. */
export function waitOf({ wait = "", waitsFor }: StreamReport): string {
  if (wait === "WAIT_LISTEN") return "a listener";
  const words = waitWords[wait];
  return words === undefined ? "" : `${waitsFor === "SIDE_CLIENT" ? "client" : "listener"} ${words}`;
}

/** How long a stream has waited. Empty if it does not. */
export function waitedOf(stream: StreamReport): string {
  return waitOf(stream) === "" ? "" : duration(stream.waitMs);
}

/** The caller that has the leg of an endpoint, and the facts that are known of its sending. */
export function endpointOf(endpoint: EndpointReport | undefined): string {
  const { leg = "LEG_STATE_NONE", sentBytes = "0", bytesPerSecond, unackedFrames, finished } = endpoint ?? {};
  if (endpoint === undefined || leg === "LEG_STATE_NONE") return "no leg yet";
  const full = fullPercent(endpoint);
  return [
    placeOf(endpoint),
    bytesPerSecond === undefined ? `sent ${formatBytes(Number(sentBytes))}` : rate(bytesPerSecond),
    finished ? "finished" : "",
    Number(endpoint.silentMs ?? 0) < minSilentMs ? "" : `silent ${duration(endpoint.silentMs)}`,
    unackedFrames === undefined ? "" : `${unackedFrames} unacknowledged`,
    full < minFullPercent ? "" : `window ${full}% full`,
  ]
    .filter((part) => part !== "")
    .join(", ");
}

function placeOf({ leg, legMs, caller }: EndpointReport): string {
  if (leg === "LEG_STATE_AWAY") return `away ${duration(legMs)}`;
  return leg === "LEG_STATE_OVER" ? "over" : callerOf(caller);
}

function fullPercent({ windowLeftBytes, windowBytes }: EndpointReport): number {
  if (windowLeftBytes === undefined || windowBytes === undefined || Number(windowBytes) === 0) return 0;
  return Math.round(100 - (Number(windowLeftBytes) * 100) / Number(windowBytes));
}

/** The address of a caller and who it is, if that is known. */
export function callerOf({ door = "", address = "", origin = "", subject = "" }: CallerReport = {}): string {
  return [address || door, subject || origin].filter((part) => part !== "").join(" ") || "-";
}

/** The totals of a relay, as pairs of a word and a number. */
export function totalsOf(totals: Totals = {}): [what: string, howMuch: string][] {
  const { names = 0, suspendedNames, offers = 0, streams = 0, suspendedStreams, legs = 0, links = 0 } = totals;
  const away = (count = 0) => (count === 0 ? "" : ` (${count} away)`);
  return [
    [totals.ready ? "up" : "going away, up", duration(totals.ageMs)],
    ["names", `${names}${away(suspendedNames)}`],
    ["streams", `${streams}${away(suspendedStreams)}`],
    ["waiting", String(offers)],
    ["legs", String(legs)],
    ["links", String(links)],
    ["gateway calls", String(totals.gatewayCalls ?? 0)],
    ["unread", formatBytes(Number(totals.heldBytes ?? 0))],
    ["from clients", rate(totals.clientBytesPerSecond)],
    ["from listeners", rate(totals.listenerBytesPerSecond)],
    ["refusals", `${totals.refusals ?? 0} (${totals.refusalsPerSecond ?? 0}/s)`],
  ];
}

export function duration(ms = "0"): string {
  return formatDuration(Number(ms));
}

function rate(bytesPerSecond = "0"): string {
  return `${formatBytes(Number(bytesPerSecond))}/s`;
}
