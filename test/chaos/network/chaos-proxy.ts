import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { resetSocket } from "../../../cli/stream/reset-socket.ts";
import type { CutKind, SpellKind } from "../history/step.ts";
import { Flow, openPassage, type Passage } from "./flow.ts";

type Network =
  | Passage
  /** Connections are refused. */
  | { kind: "away" }
  /** Connections are taken, and no byte of them arrives anywhere, then or later. */
  | { kind: "lost" };

const networks: Record<SpellKind, Network> = {
  away: { kind: "away" },
  hole: { kind: "lost" },
  stall: { kind: "held" },
  slow: { kind: "open", delayMs: 40, bytesPerSecond: Number.POSITIVE_INFINITY },
  narrow: { kind: "open", delayMs: 0, bytesPerSecond: 65_536 },
};

/** The near socket is the party's, the far one the relay's. */
interface Connection {
  near: Socket;
  far: Socket;
  up: Flow;
  down: Flow;
}

/** A TCP proxy between one party and the relay, which can do to its connections what networks do. */
export class ChaosProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Connection>();
  #network: Network = openPassage;
  /** The port of the relay; undefined while it is away. Connections that are open stay where they are. */
  targetPort: number | undefined;

  private constructor(targetPort: number) {
    this.targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near));
  }

  static async open(targetPort: number): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The connections that work, as far as the proxy knows. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Ends all connections that are open, in one of the ways that connections end. */
  cut(how: CutKind): void {
    for (const connection of this.#connections) {
      const { near, far, up, down } = connection;
      if (how !== "half-far") down.stop(true);
      if (how !== "half-near") up.stop(true);
      // A connection that is half closed is told of what becomes of its other half.
      if (!how.startsWith("half-")) this.#connections.delete(connection);
      switch (how) {
        case "fin":
          // A process that ended has the kernel answer later bytes with a reset.
          for (const socket of [near, far]) socket.end(() => socket.destroy());
          break;
        case "rst":
          for (const socket of [near, far]) resetSocket(socket);
          break;
        case "half-near":
          near.end();
          break;
        case "half-far":
          far.end();
          break;
        case "ghost":
          resetSocket(near);
          break;
      }
    }
  }

  /** Changes the network until {@link heal}. `away` and `hole` are the end of the connections that are open. */
  begin(how: SpellKind): void {
    this.#network = networks[how];
    if (how === "away") this.cut("rst");
    if (how === "hole") {
      for (const { up, down } of this.#connections) for (const flow of [up, down]) flow.stop(false);
      this.#connections.clear();
    }
  }

  /** Lets everything through again. */
  heal(): void {
    this.#network = openPassage;
    for (const { up, down } of this.#connections) for (const flow of [up, down]) flow.pump();
  }

  async close(): Promise<void> {
    // For connections that the system has taken already.
    this.#network = networks.away;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    this.#keep(near);
    const port = this.targetPort;
    if (this.#network.kind === "away" || port === undefined) {
      resetSocket(near);
      return;
    }
    if (this.#network.kind === "lost") {
      near.pause();
      return;
    }
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#keep(far);
    const passage = () => (this.#network.kind === "open" ? this.#network : ({ kind: "held" } as const));
    const connection = { near, far, up: new Flow(near, far, passage), down: new Flow(far, near, passage) };
    this.#connections.add(connection);
    const pass = (from: Socket, to: Socket) => {
      from.on("error", () => this.#connections.has(connection) && resetSocket(to));
      from.on("close", () => near.destroyed && far.destroyed && this.#connections.delete(connection));
    };
    pass(near, far);
    pass(far, near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }
}
