import type { ClientSocket } from "socket.io-client";
import type { BenchStream, Endpoints } from "../../contender.ts";

type Connect = (url: string, options: object) => ClientSocket;

/**
 * The bytes that a sender may have unacknowledged. The library has no backpressure of its own, so the adapter asks the
 * peer for an acknowledgement after each quarter of this window.
 */
const windowBytes = 1_048_576;

type Ack = () => void;

/** The streams of one connection, told apart by their ids. */
class Streams {
  readonly socket: ClientSocket;
  readonly #streams = new Map<string, { onData(data: ArrayBuffer | Uint8Array): void; onEnd(): void }>();

  constructor(socket: ClientSocket) {
    this.socket = socket;
    socket.on("data", (id: string, data: ArrayBuffer | Uint8Array, ack: Ack | undefined) => {
      this.#streams.get(id)?.onData(data);
      ack?.();
    });
    socket.on("end", (id: string) => {
      this.#streams.get(id)?.onEnd();
      this.#streams.delete(id);
    });
  }

  create(id: string): BenchStream {
    const { socket } = this;
    let unackedBytes = 0;
    let unmarkedBytes = 0;
    let onAck = () => {};
    let onBytes = (_: Uint8Array): void => {};
    let onClosed = () => {};
    const closed = new Promise<void>((resolve) => {
      onClosed = resolve;
    });
    this.#streams.set(id, {
      onData: (data) => onBytes(data instanceof Uint8Array ? data : new Uint8Array(data)),
      onEnd: () => onClosed(),
    });
    return {
      write(message) {
        unackedBytes += message.byteLength;
        unmarkedBytes += message.byteLength;
        if (unmarkedBytes < windowBytes / 4) socket.emit("data", id, message);
        else {
          const ackedBytes = unmarkedBytes;
          unmarkedBytes = 0;
          socket.emit("data", id, message, () => {
            unackedBytes -= ackedBytes;
            onAck();
          });
        }
        return unackedBytes < windowBytes;
      },
      drained: () =>
        new Promise((resolve) => {
          onAck = resolve;
        }),
      receive: (listener) => {
        onBytes = listener;
      },
      end: () => void socket.emit("end", id),
      closed,
    };
  }
}

/** Socket.IO's client, in Node and in a page. */
export function socketIoEndpoints(load: () => Promise<Connect>): Endpoints {
  const open = async (port: number) => {
    const connect = await load();
    const socket = connect(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true });
    await new Promise<void>((resolve) => socket.on("connect", resolve));
    return new Streams(socket);
  };
  return {
    async listener(port) {
      const streams = await open(port);
      const listening = new Map<string, (stream: BenchStream) => void>();
      streams.socket.on("offer", (name: string, id: string) => {
        listening.get(name)?.(streams.create(id));
        streams.socket.emit("accept", id);
      });
      return {
        async listen(name, onStream) {
          listening.set(name, onStream);
          await new Promise<void>((resolve) => streams.socket.emit("listen", name, resolve));
        },
      };
    },
    async client(port) {
      const streams = await open(port);
      return {
        async open(name) {
          const id = await new Promise<string>((resolve) => streams.socket.emit("connect-to", name, resolve));
          return streams.create(id);
        },
      };
    },
  };
}
