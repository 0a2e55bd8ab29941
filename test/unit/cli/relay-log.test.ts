import { expect, test } from "vitest";
import { createRelayLog, logNames } from "../../../cli/relay-log.js";
import { StreamServerProxy } from "../../../server/stream-server-proxy.js";

test("logNames logs the life of a lease, as JSON and in words", () => {
  const lease = { id: "id", name: "a room", listed: true };
  const lives = [true, false].map((json) => {
    const lines: string[] = [];
    const proxy = StreamServerProxy();
    logNames(
      proxy,
      createRelayLog(json, (line) => lines.push(line)),
    );
    proxy.emit("server.created", "a room", lease);
    proxy.emit("server.suspended", "a room", lease, 120_000);
    proxy.emit("server.resumed", "a room", lease);
    proxy.emit("server.destroyed", "a room", lease, "reclaimed");
    return lines;
  });
  const [asJson = [], inWords = []] = lives;
  const told = { time: expect.any(String), name: "a room", leaseId: "id" };
  expect(asJson.map((line) => JSON.parse(line))).toEqual([
    { ...told, event: "name.claimed", listed: true },
    { ...told, event: "name.suspended", graceMs: 120_000 },
    { ...told, event: "name.resumed" },
    { ...told, event: "name.released", reason: "reclaimed" },
  ]);
  expect(inWords).toHaveLength(4);
  for (const line of inWords) expect(line).toContain("'a room'");
  expect(inWords[1]).toContain("120 s");
});
