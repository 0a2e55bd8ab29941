// A program that pairs WebSockets two by two and forwards their messages, with nothing around it. The relay is measured
// by it. It also serves a blank page with the package beside it.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const highWaterMarkBytes = 1_048_576;
const packageCode = readFileSync(new URL("../.out/package.js", import.meta.url));

const server = createServer((request, response) => {
  const isPackage = request.url === "/package.js";
  response.setHeader("content-type", isPackage ? "text/javascript" : "text/html");
  // A page by itself has a clock that is not rounded to tenths of a millisecond.
  response.setHeader("cross-origin-opener-policy", "same-origin");
  response.setHeader("cross-origin-embedder-policy", "require-corp");
  response.end(isPackage ? packageCode : '<!doctype html><link rel="icon" href="data:,">');
});

function forward(from: WebSocket, to: WebSocket): void {
  from.on("message", (data, binary) => {
    to.send(data, { binary }, () => from.resume());
    if (to.bufferedAmount > highWaterMarkBytes) from.pause();
  });
  from.on("close", () => to.close());
}

let waiting: WebSocket | undefined;
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  if (waiting === undefined) {
    waiting = socket;
    return;
  }
  forward(waiting, socket);
  forward(socket, waiting);
  waiting = undefined;
});

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
