import { type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { type NetworkCarrier, openWay, type Way } from "../carriers.ts";
import { ChaosProxy } from "../network/chaos-proxy.ts";
import { within } from "../within.ts";

const startTimeoutMs = 30_000;

/** A client and a listener in this process, each with a network of its own to a relay. */
export class TwoParties {
  readonly networks: Record<"client" | "listener", ChaosProxy>;
  readonly server: StreamServer;
  readonly #ways: Record<"client" | "listener", Way>;
  readonly #name: string;
  #arrived: ((stream: Stream) => void)[] = [];

  private constructor(networks: TwoParties["networks"], carrier: NetworkCarrier, name: string) {
    this.networks = networks;
    this.#name = name;
    this.#ways = {
      client: openWay(carrier, networks.client.origin),
      listener: openWay(carrier, networks.listener.origin),
    };
    this.server = StreamServer(this.#ways.listener.transport, (stream) => this.#arrived.shift()?.(stream)).listen(name);
    this.server.on("error", () => {});
  }

  static async open(port: number, carrier: NetworkCarrier, name: string): Promise<TwoParties> {
    const networks = { client: await ChaosProxy.open(port), listener: await ChaosProxy.open(port) };
    const parties = new TwoParties(networks, carrier, name);
    await within(startTimeoutMs, "the listener is not ready", parties.server.ready);
    return parties;
  }

  /** Opens a stream. Resolves with both sides of it when both are there. */
  async connect(): Promise<{ client: Stream; listener: Stream }> {
    const arrived = new Promise<Stream>((resolve) => this.#arrived.push(resolve));
    const client = StreamClient(this.#ways.client.transport).connect(this.#name);
    const listener = await within(startTimeoutMs, "the stream does not arrive", arrived);
    await within(startTimeoutMs, "the stream is not opened", client.opened);
    return { client, listener };
  }

  async close(): Promise<void> {
    await this.server.end();
    for (const way of Object.values(this.#ways)) way.close();
    for (const network of Object.values(this.networks)) await network.close();
  }
}
