import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { LinkService, RelayService } from "browser-stream-server/gen";
import { noProofs, type RpcProofs } from "../fakes/traffic/rpc-messages.ts";
import type { Target } from "./attack.ts";

/** A caller that was let go of by its server comes back after this time. */
const pauseMs = 20;

/**
 * A lease, an offer and a link of a relay's, for messages that name them. Each is made anew when it is over, because
 * somebody has taken, ended or broken it.
 */
export class LiveProofs {
  readonly #relay: Client<typeof RelayService>;
  readonly #links: Client<typeof LinkService>;
  readonly #over = new AbortController();
  readonly #work: Promise<unknown>;
  #proofs = noProofs;

  constructor({ port }: Target) {
    const transport = createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "2" });
    this.#relay = createClient(RelayService, transport);
    this.#links = createClient(LinkService, transport);
    const name = `offered ${port}`;
    this.#work = Promise.all([
      this.#again(() => this.#listen(name)),
      this.#again(() => this.#offer(name)),
      this.#again(() => this.#receive()),
    ]);
  }

  /** What is live now. The same object as before if nothing has changed. */
  get current(): RpcProofs {
    return this.#proofs;
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  async #again(work: () => Promise<void>): Promise<void> {
    while (!this.#over.signal.aborted) {
      await work().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #listen(name: string): Promise<void> {
    for await (const { event } of this.#relay.listen({ name }, { signal: this.#over.signal })) {
      const { leaseId, leaseToken, streamId, legToken } = { ...this.#proofs, ...event.value };
      this.#proofs = { ...this.#proofs, leaseId, leaseToken, streamId, legToken };
    }
  }

  async #offer(name: string): Promise<void> {
    const signal = this.#over.signal;
    const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    async function* requests() {
      yield { message: { case: "open" as const, value: { name } } };
      await ended;
    }
    for await (const _ of this.#relay.connect(requests(), { signal }));
  }

  async #receive(): Promise<void> {
    for await (const { opened } of this.#links.receive({}, { signal: this.#over.signal })) {
      if (opened !== undefined) this.#proofs = { ...this.#proofs, linkId: opened.linkId, linkToken: opened.linkToken };
    }
  }
}
