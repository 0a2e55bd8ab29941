import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { HttpForwarder, type UnreachableError } from "../../../cli/http/http-forwarder.js";

/** A connection of this machine is there at once, or not at all. */
const fullAfterMs = 500;

/** Resolves with a port whose program stands still, and whose queue of connections is full. */
async function fullPort(): Promise<number> {
  const program = `require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
    console.log(this.address().port);
  })`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await once(child, "close");
  });
  const port = Number(String((await once(child.stdout, "data"))[0]));
  child.kill("SIGSTOP");
  for (;;) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    onTestFinished(() => void socket.destroy());
    const isThere = await Promise.race([once(socket, "connect").then(() => true), setTimeout(fullAfterMs, false)]);
    if (!isThere) return port;
  }
}

async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) await new Promise((resolve) => setImmediate(resolve));
}

test("HttpForwarder answers 504 for a server that takes no connection within 8 s", async () => {
  const port = await fullPort();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const reached: (UnreachableError | undefined)[] = [];
  const target = { host: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
  const forwarder = new HttpForwarder(target, (error) => reached.push(error));
  onTestFinished(() => forwarder.close());
  let answer: Response | undefined;
  const answered = forwarder.forward(new Request("http://host/")).then((response) => {
    answer = response;
  });
  await turns(100);
  vi.advanceTimersByTime(7_999);
  await turns(100);
  expect(answer).toBeUndefined();
  vi.advanceTimersByTime(1);
  await answered;
  expect(answer?.status).toBe(504);
  expect(reached).toEqual([expect.objectContaining({ isTimeout: true })]);
});
