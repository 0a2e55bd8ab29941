import { Code, StreamError } from "browser-stream-server";
import { expect, test } from "vitest";
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
  expect((await link()).code).toBe(2);
  await relay.close();
  expect((await link("--token", "good")).code).toBe(6);
});
