import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, StreamError } from "browser-stream-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRelay } from "../integration/relay-ports.js";
import { CommandLine } from "./command-line.js";

test("link prints a link to a name, or why there is none", async () => {
  const relay = await openRelay({
    gateway: { by: "path" },
    authorize({ token }) {
      if (token !== "good") throw new StreamError("who are you?", { code: Code.Unauthenticated });
      return {};
    },
  });
  const link = (...args: string[]) => new CommandLine(["link", "a/b", "--relay", relay.origin, ...args]).run();
  const { code, output, errorLines } = await link("--token", "good");
  expect([code, errorLines.length]).toEqual([0, 1]);
  expect(output).toMatch(new RegExp(`^${relay.origin}/~visit/a%2Fb/[\\w-]{22}\n$`));
  expect((await fetch(output.trim())).status).toBe(200);
  const refused = await link("--token", "bad");
  expect([refused.code, refused.output]).toEqual([9, ""]);
  const anonymous = await link();
  expect([anonymous.code, anonymous.output]).toEqual([9, ""]);
  await relay.close();
  expect((await link("--token", "good")).code).toBe(6);
});

describe("bss link", () => {
  test("finds that a relay without a policy makes no link, with an access token and without one", async () => {
    const relay = await openRelay({ gateway: { by: "path" } });
    onTestFinished(() => relay.close());
    for (const args of [[], ["--token", "good"]]) {
      const { code, output } = await new CommandLine(["link", "a", "--relay", relay.origin, ...args]).run();
      expect([code, output]).toEqual([1, ""]);
    }
  });

  test("prints nothing of a bad relay that a terminal does not show", async () => {
    const answers = [
      JSON.stringify({ url: "http://relay.example/\u001b]0;title\u0007\u202e\n?\u009b31m#\u2028", expiresInMs: 1 }),
      JSON.stringify({ url: "javascript:alert(1)", expiresInMs: 1 }),
      JSON.stringify({ url: "http://relay.example/", expiresInMs: "\u001b[2J" }),
      "\u001b[2J",
      "x".repeat(10_000_000),
    ];
    const codes: (number | null)[] = [];
    const printed: string[] = [];
    for (const answer of answers) {
      const relay = createServer((_, response) => response.writeHead(201).end(answer)).listen(0, "127.0.0.1");
      await once(relay, "listening");
      onTestFinished(() => void relay.close());
      const url = `http://127.0.0.1:${(relay.address() as AddressInfo).port}`;
      const { code, output, errorLines } = await new CommandLine(["link", "a", "--relay", url]).run();
      codes.push(code);
      printed.push(output, ...errorLines);
    }
    expect(codes).toEqual([0, 1, 1, 1, 1]);
    expect(printed[0]).toBe("http://relay.example/%1B]0;title%07%E2%80%AE?%C2%9B31m#%E2%80%A8\n");
    for (const text of printed) expect(text).toMatch(/^[\x20-\x7e]*\n?$/);
  });
});
