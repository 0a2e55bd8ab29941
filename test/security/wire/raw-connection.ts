import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Outcome, Target } from "../attack.ts";

/** A connection whose bytes an attacker writes by hand. */
export class RawConnection {
  readonly socket: Socket;
  readonly #startedMs = performance.now();
  #closedMs: number | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay();
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closedMs = performance.now();
    });
    // An end of the server's is an end: the attacker does not keep its half open.
    socket.on("end", () => socket.destroy());
  }

  /** `protocol`: the one to agree on over TLS. */
  static async open(
    { port, isSecure }: Pick<Target, "port" | "isSecure">,
    protocol = "http/1.1",
  ): Promise<RawConnection> {
    const socket = isSecure
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: [protocol] })
      : connect({ port, host: "127.0.0.1" });
    const raw = new RawConnection(socket);
    await once(socket, isSecure ? "secureConnect" : "connect");
    return raw;
  }

  get isClosed(): boolean {
    return this.socket.destroyed;
  }

  /** Reads and forgets what the server sends. */
  read(): this {
    this.socket.resume();
    return this;
  }

  /** Writes when the network takes it. Resolves, too, when the connection is closed. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.isClosed || this.socket.write(bytes)) return;
    const over = new AbortController();
    const { signal } = over;
    await Promise.race([once(this.socket, "drain", { signal }), once(this.socket, "close", { signal })]).catch(
      () => {},
    );
    over.abort();
  }

  /** Resolves when the server has sent something more, or has closed the connection. */
  async heard(): Promise<void> {
    await this.#either("data");
  }

  async #either(event: "drain" | "data"): Promise<void> {
    const over = new AbortController();
    const { signal } = over;
    await Promise.race([once(this.socket, event, { signal }), once(this.socket, "close", { signal })]).catch(() => {});
    over.abort();
  }

  /** Resolves when the server has closed the connection, or the time is up. */
  async closed(withinMs: number): Promise<Outcome> {
    if (!this.isClosed) {
      await once(this.socket, "close", { signal: AbortSignal.timeout(Math.max(1, Math.ceil(withinMs))) }).catch(
        () => {},
      );
    }
    // "close" comes a turn after the end.
    await new Promise((resolve) => setImmediate(resolve));
    const afterMs = (this.#closedMs ?? performance.now()) - this.#startedMs;
    return this.isClosed ? { kind: "cut off", afterMs } : { kind: "endured" };
  }

  /**
   * Writes the pieces that `next` makes until it makes no more, the server closes the connection, or the time is up,
   * and tells how it ended.
   */
  async flood(
    { giveUpMs }: Target,
    next: (piece: number) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ): Promise<Outcome> {
    const deadlineMs = performance.now() + giveUpMs;
    for (let piece = 0; !this.isClosed && performance.now() < deadlineMs; piece += 1) {
      const bytes = await next(piece);
      if (bytes === undefined) break;
      await this.write(bytes);
      // Lets this process hear what the server says.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const outcome = await this.closed(deadlineMs - performance.now());
    this.socket.destroy();
    return outcome;
  }
}
