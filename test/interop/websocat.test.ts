import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { openRelay } from "../integration/relay-ports.js";
import { websocatProgram } from "../setup/example-programs.js";

test("websocat talks to a listener, and hears how it was refused", async () => {
  const relay = await openRelay({ gateway: { by: "path" } });
  onTestFinished(() => relay.close());
  const server = StreamServer(relay.origin, (stream) => {
    stream.on("data", (message) => stream.write(`${message} at ${stream.metadata.path}`));
    stream.on("end", () => stream.end());
  }).listen("echo");
  await server.ready;
  const websocat = (path: string): ChildProcess => {
    const url = relay.origin.replace("http", "ws") + path;
    const child = spawn(websocatProgram, ["--no-line", "--exit-on-eof", url], { stdio: ["pipe", "pipe", "ignore"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };
  const talking = websocat("/~/echo/chat?room=1");
  talking.stdin?.write("hello");
  expect(String((await once(talking.stdout as NodeJS.ReadableStream, "data"))[0])).toBe("hello at /chat?room=1");
  const talked = once(talking, "exit");
  talking.stdin?.end();
  expect((await talked)[0]).toBe(0);
  const refused = websocat("/~/nobody/");
  const ended = once(refused, "exit");
  expect(await text(refused.stdout as NodeJS.ReadableStream)).toBe("");
  expect((await ended)[0]).not.toBe(0);
  await server.end();
});
