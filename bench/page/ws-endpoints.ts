import type { BenchStream, Endpoints } from "../contender.ts";

/**
 * A page can only poll for room, with timers of 4 ms. At 1 GB/s a browser sends 4 MB in that time, so it does not run
 * dry meanwhile.
 */
const highWaterMarkBytes = 4_194_304;

function openSocket(port: number, path: string): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`);
  socket.binaryType = "arraybuffer";
  return socket;
}

const opened = (socket: WebSocket) => new Promise<void>((resolve) => socket.addEventListener("open", () => resolve()));

function benchStream(socket: WebSocket): BenchStream {
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  return {
    write(message) {
      socket.send(message as Uint8Array<ArrayBuffer>);
      return socket.bufferedAmount < highWaterMarkBytes;
    },
    async drained() {
      while (socket.bufferedAmount >= highWaterMarkBytes) await new Promise((resolve) => setTimeout(resolve));
    },
    receive: (onBytes) => {
      socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => onBytes(new Uint8Array(data));
    },
    end: () => socket.close(),
    closed,
  };
}

/** Endpoints in a page that use its WebSockets, for the relay of the `ws` contender. */
export const wsEndpoints: Endpoints = {
  async listener(port) {
    return {
      async listen(name, onStream) {
        const control = openSocket(port, `listen/${name}`);
        control.onmessage = ({ data }) => {
          if (data === "0") return;
          const socket = openSocket(port, `accept/${data}`);
          onStream(benchStream(socket));
        };
        await opened(control);
      },
    };
  },
  async client(port) {
    return {
      async open(name) {
        const socket = openSocket(port, `connect/${name}`);
        await opened(socket);
        return benchStream(socket);
      },
    };
  },
};
