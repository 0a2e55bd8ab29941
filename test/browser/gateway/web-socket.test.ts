import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";

const browserOf = launchedEngines();

/** A listener that knows nothing of WebSockets. */
const listener = `
  import { StreamServer } from "browser-stream-server";
  await StreamServer(location.origin, (stream) => {
    stream.on("error", () => {});
    stream.on("data", (message) => {
      stream.write(typeof message === "string" ? message + " at " + stream.metadata.path : message.toReversed());
    });
    stream.on("end", () => stream.end());
  }).listen("tab").ready;
`;

/** Sends two messages by a browser's own WebSocket, and returns the answers, the subprotocol and the end. */
const client = `new Promise((resolve) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/~/tab/chat?room=1", ["best", "other"]);
  socket.binaryType = "arraybuffer";
  const answers = [];
  socket.onopen = () => {
    socket.send("hello");
    socket.send(new Uint8Array([1, 2, 3]));
  };
  socket.onmessage = ({ data }) => {
    answers.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
    if (answers.length === 2) socket.close(1000);
  };
  socket.onclose = ({ code, wasClean }) => resolve({ answers, protocol: socket.protocol, code, wasClean });
})`;

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  let tab: EngineTab;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    relay = await openRelay({ gateway: { by: "path" }, limits: { graceMs: 2_000 } });
    tab = await browserOf(engine).openTab(relay.origin);
    await tab.run(listener);
  });

  afterAll(async () => {
    await tab?.close();
    if (relay !== undefined) await holdsNothing(relay, "links");
    await relay?.close();
  });

  test("is called by the browser's own WebSocket, and calls itself so", async () => {
    expect(await tab.evaluate(client)).toEqual({
      answers: ["hello at /chat?room=1", [3, 2, 1]],
      protocol: "best",
      code: 1000,
      wasClean: true,
    });
  });

  test("is called by a WebSocket of Node", async () => {
    const socket = new WebSocket(`${relay.origin.replace("http", "ws")}/~/tab/`);
    await once(socket, "open");
    socket.send("hello");
    expect(String((await once(socket, "message"))[0])).toBe("hello at /");
    socket.close();
    await once(socket, "close");
  });
});
