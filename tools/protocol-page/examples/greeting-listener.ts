import { Code } from "@connectrpc/connect";
import type { MemoryRelay } from "../../../test/fakes/relay-links.js";

/** Listens on a name, and answers the first client with one message and fin. Resolves when the name is claimed. */
export async function greetOneClient({ client }: MemoryRelay, name: string, greeting: string): Promise<void> {
  const abort = new AbortController();
  const events = client.listen({ name, listed: true }, { signal: abort.signal })[Symbol.asyncIterator]();
  await events.next();
  void (async () => {
    const { value } = await events.next();
    if (value?.event.case !== "offer") throw new Error("there was no offer");
    const { streamId, legToken } = value.event.value;
    const messages = [{ data: new TextEncoder().encode(greeting), text: true }];
    async function* requests() {
      yield { message: { case: "open" as const, value: { streamId, legToken } } };
      yield { message: { case: "frame" as const, value: { sequence: 1n, messages, fin: true } } };
    }
    for await (const _ of client.accept(requests()));
    abort.abort(Code.Canceled);
  })();
}
