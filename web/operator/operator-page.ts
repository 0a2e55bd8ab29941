// The operator's page, as a browser runs it. A relay serves it, and the modules that it imports, as they are built.
import type { NameReport, RefusalReport, Report, StreamReport } from "./report.js";
import { ReportTable, type Row } from "./report-table.js";
import { callerOf, duration, endpointOf, totalsOf, waitedOf, waitOf } from "./report-words.js";
import { shownText } from "./visible-text.js";

/** The relay looks at its streams as often. */
const intervalMs = 1_000;
/** A relay that does not answer for so long is not reached. */
const timeoutMs = 10_000;
const maxReports = 200;

/** The path of the relay, which the page is under. */
const prefix = location.pathname.replace(/\/admin$/, "");

/** The access token of the operator, which nothing but this page keeps. Empty before it was given. */
let token = "";

const secret = field("password", "access token");
const filter = field("search", "names that begin with");
const status = document.createElement("p");
status.setAttribute("role", "status");
const totals = document.createElement("p");
const streams = new ReportTable("Streams", ["waits for", "since", "name", "age", "client", "listener", "stream", ""]);
const names = new ReportTable("Names", ["name", "age", "waiting", "listener", "lease", ""]);
const refusals = new ReportTable("Refused calls", ["call", "reason", "how often", "last", "caller", "name"]);
const tables = document.createElement("main");
tables.hidden = true;
tables.append(totals, streams.element, names.element, refusals.element);

/** Resolves with the answer of an RPC in JSON. Rejects with an error that says why there is none. */
async function call(method: string, request: object): Promise<Report> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: JSON.stringify(request), signal: AbortSignal.timeout(timeoutMs) };
  const response = await fetch(`${prefix}/streamserver.v1.AdminService/${method}`, init).catch(() => undefined);
  if (response === undefined) throw new Error("the relay cannot be reached");
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new Error(typeof body.message === "string" ? body.message : `the relay answered with HTTP ${response.status}`);
}

/** Shows the relay as long as the page is there. After an error it tries again. */
async function showEverySecond(): Promise<never> {
  for (;;) {
    if (token !== "" && !document.hidden) await orSay(show);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

async function show(): Promise<void> {
  const asked = { namePrefix: filter.value, maxNames: maxReports, maxStreams: maxReports };
  const report = await call("Show", asked);
  tables.hidden = false;
  totals.textContent = totalsOf(report.totals)
    .map(([what, howMuch]) => `${what} ${howMuch}`)
    .join(" · ");
  streams.draw((report.streams ?? []).map(streamRow));
  names.draw((report.names ?? []).map(nameRow));
  refusals.draw((report.refusals ?? []).map(refusalRow));
  say(`as of ${new Date().toLocaleTimeString()}`);
}

function streamRow(stream: StreamReport): Row {
  const { streamId = "", name = "", ageMs, client, listener } = stream;
  const words = [waitOf(stream), waitedOf(stream), name, duration(ageMs), endpointOf(client), endpointOf(listener)];
  const run = () => end("EndStream", { streamId }, `End this stream of ${shownText(name)} for both endpoints?`);
  return { key: streamId, cells: [...words, streamId].map(shownText), action: { label: "End", run } };
}

function nameRow({ name = "", leaseId = "", ageMs, offers = 0, suspended, listener }: NameReport): Row {
  const words = [name, duration(ageMs), String(offers), `${suspended ? "away, " : ""}${callerOf(listener)}`, leaseId];
  const run = () => end("EndLease", { leaseId }, `Take ${shownText(name)} back from its listener?`);
  return { key: leaseId, cells: words.map(shownText), action: { label: "Take back", run } };
}

function refusalRow({ call = "", reason = "", count = "", lastMs, lastCaller, lastName = "" }: RefusalReport): Row {
  const words = [call, reason, count, `${duration(lastMs)} ago`, callerOf(lastCaller), lastName];
  return { key: `${call} ${reason}`, cells: words.map(shownText) };
}

/** Ends something once the operator has said why. */
async function end(method: string, request: object, question: string): Promise<void> {
  const reason = prompt(`${question} The endpoints are told this reason:`, "");
  if (reason === null) return;
  await orSay(async () => {
    await call(method, { ...request, reason });
    await show();
  });
}

async function orSay(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (reason) {
    say((reason as Error).message);
  }
}

function say(words: string): void {
  status.textContent = shownText(words);
}

function field(type: string, label: string): HTMLInputElement {
  return Object.assign(document.createElement("input"), {
    type,
    placeholder: label,
    ariaLabel: label,
    autocomplete: "off",
  });
}

const form = document.createElement("form");
const title = Object.assign(document.createElement("h1"), { textContent: "Relay" });
form.append(secret, Object.assign(document.createElement("button"), { textContent: "Show" }), filter);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  token = secret.value.trim();
  void orSay(show);
});
say("Give the access token of an operator, as bss token --admin prints it.");
document.body.append(title, form, status, tables);
void showEverySecond();
