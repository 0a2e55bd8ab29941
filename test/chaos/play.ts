import { setTimeout as sleep } from "node:timers/promises";
import { Failure, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import type { FaultKind, Figures } from "./figures.ts";
import { describe, problemsOf } from "./history/checker.ts";
import { type History, hasRelayFault, isSurvivable } from "./history/history.ts";
import type { Party, Step } from "./history/step.ts";
import { graceMs } from "./limits.ts";
import { Networks, restOf } from "./network/networks.ts";
import { resetError, Side } from "./parties/side.ts";
import { ChaosRelay } from "./relay/chaos-relay.ts";
import type { LocalRelay } from "./relay/local-relay.ts";
import { within } from "./within.ts";

/** A stream may wait so long for its listener. */
const waitForListenerMs = 10_000;
/** The grace period may have begun when the network is well again, and the machine has much else to do. */
const settleTimeoutMs = graceMs + 20_000;
const startTimeoutMs = 20_000;
const probeBytes = 16;

export interface PlayContext {
  relay: ChaosRelay | LocalRelay;
  figures: Figures;
  /** Tells names from those of other histories on the same relay. */
  name: string;
}

/** Plays a history, and resolves with everything that went wrong in it. Never rejects. */
export async function play(history: History, context: PlayContext): Promise<string[]> {
  const stage = new Stage(history, context);
  try {
    await stage.open();
    for (const step of history.steps) await stage.take(step);
    await stage.finish();
  } catch (error) {
    stage.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await stage.close();
  return stage.problems;
}

interface Pair {
  client: Side;
  listener: Side;
}

class Stage {
  readonly problems: string[] = [];
  readonly #history: History;
  readonly #context: PlayContext;
  readonly #pairs = new Map<number, Pair>();
  readonly #underway: Promise<unknown>[] = [];
  #networks: Networks | undefined;
  #server: StreamServer | undefined;
  /** Ends of faults that are under way. A time is taken only while there is no other. */
  #faults = 0;
  #epoch = 0;

  constructor(history: History, context: PlayContext) {
    this.#history = history;
    this.#context = context;
  }

  async open(): Promise<void> {
    const { relay, name } = this.#context;
    const networks = await Networks.open(this.#history, relay.port);
    this.#networks = networks;
    if (relay instanceof ChaosRelay && hasRelayFault(this.#history)) relay.onMove = (port) => networks.lead(port);
    this.#server = StreamServer(networks.transport("listener"), (stream) => this.#onStream(stream)).listen(name);
    this.#server.on("error", (error) => this.#onServerError(error));
    await within(startTimeoutMs, "the listener is not ready", this.#server.ready);
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "open":
        return this.#open(step.stream);
      case "opened":
        return this.#pairs.get(step.stream)?.client.openedOrOver;
      case "write":
        return this.#side(step)?.write(step.count, step.bytes, step.text);
      case "end":
      case "reset":
      case "pause":
      case "resume":
        return this.#side(step)?.[step.kind]();
      case "wait":
        return sleep(step.ms);
      case "cut":
        this.#begin(step.how);
        this.#networks?.of(step.party)?.cut(step.how);
        return this.#over(step.how);
      case "spell":
        return this.#during(step.how, async () => {
          const proxy = this.#networks?.of(step.party);
          proxy?.begin(step.how);
          await sleep(step.ms);
          proxy?.heal();
        });
      case "relay":
        return this.#during(step.how, async () => {
          if (this.#context.relay instanceof ChaosRelay) await this.#context.relay.suffer(step.how, step.ms);
        });
      case "claim":
        return void this.#underway.push(this.#claim());
    }
  }

  /** Lets the faults pass, ends every stream, and checks everything. */
  async finish(): Promise<void> {
    await Promise.all(this.#underway);
    const pairs = [...this.#pairs.values()];
    for (const { client, listener } of pairs) {
      for (const side of [client, listener]) {
        side.resume();
        side.end();
      }
    }
    const settled = pairs.flatMap(({ client, listener }) => [
      client.settled,
      // A stream that never reached the listener is over when it is for the client.
      Promise.race([listener.settled, client.settled.then(() => this.#arrived(listener))]),
    ]);
    await within(settleTimeoutMs, "", Promise.all(settled)).catch(() => {});
    // An offer of a client that is gone may arrive late, and lives as long as the relay waits for the client.
    const late = pairs.filter(({ listener }) => listener.hasStream).map(({ listener }) => listener.settled);
    await within(settleTimeoutMs, "", Promise.all(late)).catch(() => {});
    for (const [stream, { client, listener }] of this.#pairs) {
      for (const problem of problemsOf(client, listener, this.#history)) {
        this.problems.push(`stream ${stream}, ${problem}`);
      }
      this.#context.figures.countStream(client, listener);
      for (const side of [client, listener]) if (side.outcome.kind === "pending") side.abandon();
    }
    await within(startTimeoutMs, "the server does not end", this.#server?.end() ?? Promise.resolve());
    if (this.#server?.streams.size !== 0)
      this.problems.push(`the server still holds ${this.#server?.streams.size} streams`);
    this.problems.push(...((await this.#networks?.rest()) ?? []));
    if (hasRelayFault(this.#history)) this.problems.push(...(await restOf(this.#context.relay)));
  }

  async close(): Promise<void> {
    void this.#server?.end();
    await this.#networks?.close();
  }

  #side({ stream, party }: { stream: number; party: Party }): Side | undefined {
    return this.#pairs.get(stream)?.[party];
  }

  #open(stream: number): void {
    const client = new Side("client", stream * 2 + 1);
    const listener = new Side("listener", stream * 2 + 2);
    client.peer = listener;
    listener.peer = client;
    this.#pairs.set(stream, { client, listener });
    const { relay, name } = this.#context;
    const options = { metadata: { stream: String(stream) }, waitForListenerMs };
    const isLocal = this.#history.client === "local" && "connect" in relay;
    const connector = isLocal ? relay : StreamClient(this.#networks?.transport("client") ?? "");
    client.attach(connector.connect(name, options));
  }

  #onStream(stream: Stream): void {
    const side = this.#pairs.get(Number(stream.metadata.stream))?.listener;
    if (side?.hasReset) {
      // The relay has not heard of the reset, and offers the stream again.
      stream.on("error", () => {}).destroy(resetError());
      return;
    }
    if (side === undefined || side.hasStream) {
      this.problems.push(`the listener got stream ${stream.metadata.stream} twice, or it was never opened`);
      return;
    }
    side.attach(stream);
  }

  #onServerError(error: Parameters<typeof describe>[0]): void {
    if (isSurvivable(this.#history)) this.problems.push(`the server failed with ${describe(error)}`);
  }

  /** A stranger claims the name. It must not get it, unless the listener may have lost it. */
  async #claim(): Promise<void> {
    const { relay, name } = this.#context;
    if (!isSurvivable(this.#history) || hasRelayFault(this.#history)) return;
    const stranger = StreamServer(`http://127.0.0.1:${relay.port}`).listen(name);
    const answer = stranger.ready.then(
      () => "the name",
      (error) => (error.failure === Failure.NAME_TAKEN ? undefined : describe(error)),
    );
    const got = await within(startTimeoutMs, "a stranger gets no answer", answer);
    if (got !== undefined) this.problems.push(`a stranger claimed the name and got ${got}`);
    await stranger.end();
  }

  #arrived(listener: Side): Promise<void> {
    // The relay's offer, and an acceptance that fails, may still be on their way.
    return sleep(1_000).then(() => (listener.hasStream ? listener.settled : undefined));
  }

  #during(how: FaultKind, act: () => Promise<void>): void {
    this.#begin(how);
    this.#underway.push(act().then(() => this.#over(how)));
  }

  #begin(how: FaultKind): void {
    this.#faults += 1;
    this.#epoch += 1;
    this.#context.figures.countFault(how);
  }

  /** The fault is over: takes the time until the first message gets through that is written now. */
  #over(how: FaultKind): void {
    this.#faults -= 1;
    if (this.#faults > 0) return;
    const [epoch, startMs] = [this.#epoch, performance.now()];
    for (const { client, listener } of this.#pairs.values()) {
      let isCounted = false;
      const onReceived = () => {
        if (!isCounted && epoch === this.#epoch) this.#context.figures.countReturn(how, performance.now() - startMs);
        isCounted = true;
      };
      if (!client.isOpened) continue;
      for (const side of [client, listener]) {
        if (side.peer.isUpToDate) side.write(1, probeBytes, false, onReceived);
      }
    }
  }
}
