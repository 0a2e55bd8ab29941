import { StreamServer } from "browser-stream-server";
import { asWebSocket } from "browser-stream-server/websocket";
import { newWebSocketRpcSession, RpcTarget } from "capnweb";
import type { Library } from "./library.js";

class Counter extends RpcTarget {
  async count(step: number, tell: (step: number) => Promise<void>): Promise<number> {
    await tell(step);
    return step + 1;
  }
}

export const capnweb: Library = {
  name: "Cap'n Web",
  async serve(relayUrl, name) {
    let sockets = 0;
    const server = StreamServer(relayUrl, (stream) => {
      sockets += 1;
      newWebSocketRpcSession(asWebSocket(stream), new Counter());
    }).listen(name);
    await server.ready;
    return { sockets: () => sockets, end: () => server.end() };
  },
  async connect(Socket, url) {
    const socket = new Socket(url);
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    const counter = newWebSocketRpcSession<Counter>(socket);
    const told: number[] = [];
    return {
      async exchange(step) {
        const answer = await counter.count(step, async (each) => void told.push(each));
        if (answer !== step + 1) throw new Error(`the answer is ${answer}`);
        return told;
      },
      async close() {
        counter[Symbol.dispose]();
        await closed;
      },
    };
  },
};
