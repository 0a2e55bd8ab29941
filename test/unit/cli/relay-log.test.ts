import { describe, expect, test } from "vitest";
import { createJsonLogger } from "../../../cli/serve/json-logger.js";
import { LogOutput } from "../../../cli/serve/log-output.js";
import { createRelayLog, logNames, logTo } from "../../../cli/serve/relay-log.js";
import { StreamServerProxy } from "../../../server/stream-server-proxy.js";

test("logNames logs the life of a lease in words", () => {
  const lease = { id: "id", name: "a room", listed: true };
  const lines: string[] = [];
  const proxy = StreamServerProxy();
  logNames(
    proxy,
    createRelayLog((line) => lines.push(line)),
  );
  proxy.emit("server.created", "a room", lease);
  proxy.emit("server.suspended", "a room", lease, 120_000);
  proxy.emit("server.resumed", "a room", lease);
  proxy.emit("server.destroyed", "a room", lease, "reclaimed");
  expect(lines).toHaveLength(4);
  for (const line of lines) expect(line).toContain("'a room'");
  expect(lines[1]).toContain("120 s");
});

test("logTo writes one line of JSON for an event, and a warning at its level", () => {
  const lines: string[] = [];
  const log = logTo(createJsonLogger((line) => lines.push(line)));
  log({ event: "stopped", reason: "a\u202eb\u2028" });
  log({ event: "warning", kind: "body-read", message: "no body", count: 1 });
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: "info", time, event: "stopped", reason: "a\u202eb\u2028" },
    { level: "warn", time, event: "warning", kind: "body-read", message: "no body", count: 1 },
  ]);
  for (const line of lines) expect(line).toMatch(/^[ -~]+\n$/);
});

describe("LogOutput", () => {
  test("drops lines while too much is unread, and says how many before the next one", () => {
    const written: string[] = [];
    let unreadBytes = 0;
    const output: LogOutput = new LogOutput({
      onDropped: (lines) => output.write(`${lines} dropped`),
      unreadBytes: () => unreadBytes,
      print: (line) => written.push(line),
    });
    output.write("a");
    unreadBytes = 5_000_000;
    for (const line of ["b", "c"]) output.write(line);
    unreadBytes = 0;
    for (const line of ["d", "e"]) output.write(line);
    expect(written).toEqual(["a", "2 dropped", "d", "e"]);
  });
});
