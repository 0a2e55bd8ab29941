import { createHash, randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { Kind } from "../agents/kinds.js";
import type { Pair } from "../agents/pair.js";

/** Something that holds between any listener and any client. */
export interface Check {
  readonly title: string;
  /** The words of the page about this check. */
  readonly description: string;
  run(pair: Pair): Promise<void>;
}

const count = 1_000;
const binaryBytes = 8 * 1024 * 1024;
const lossDeadlineMs = 10_000;
/** The relay's grace period: that of a peer that was killed is waited for. */
export const graceMs = 3_000;

const greeting = ({ name }: Kind) => `hello from ${name}`;
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Returns the listener's last line for a client that sent these messages. */
function summary(...messages: string[]): string {
  const bytes = Buffer.from(messages.join(""));
  return `${messages.length} messages, ${bytes.byteLength} bytes, sha256 ${sha256(bytes)}`;
}

/** The client's input as messages, the greeting first; and what it prints when all of them come back. */
function conversation({ listenerKind, clientKind }: Pair, lines: string[] = []) {
  const sent = [greeting(clientKind), ...lines];
  return {
    input: lines.map((line) => `${line}\n`).join(""),
    printed: [greeting(listenerKind), ...sent, summary(...sent)],
  };
}

/** Sends the lines, and expects each back once and in order. */
async function expectLines(pair: Pair, lines: string[]): Promise<void> {
  const { listener, client } = await pair.connected();
  const { input, printed } = conversation(pair, lines);
  client.write(input);
  client.endInput();
  await client.exits(0);
  expect(client.stdout.lines).toEqual(printed);
  await listener.says("ended");
}

/** The checks that each pair goes through, numbered from 1 in the matrix. */
export const checks: readonly Check[] = [
  {
    title: "greetings",
    description: "Each side's greeting arrives at the other, and the stream ends well on both.",
    run: (pair) => expectLines(pair, []),
  },
  {
    title: "order",
    description: `${count} numbered messages go each way: none is missing, none comes twice, all are in order.`,
    run: (pair) =>
      expectLines(
        pair,
        Array.from({ length: count }, (_, index) => `№ ${index + 1}`),
      ),
  },
  {
    title: "binary",
    description: `${binaryBytes / 1024 / 1024} MiB of random bytes go each way, and have the same SHA-256 at both ends.`,
    async run(pair) {
      const { listener, client } = await pair.connected("--binary");
      const data = randomBytes(binaryBytes);
      client.write(data);
      client.endInput();
      await client.exits(0);
      expect(client.stdout.bytes.byteLength).toBe(data.byteLength);
      expect(sha256(client.stdout.bytes)).toBe(sha256(data));
      const hello = Buffer.from(greeting(pair.clientKind));
      const total = `${hello.byteLength + data.byteLength} bytes, sha256 ${sha256(Buffer.concat([hello, data]))}`;
      const [first, second, last = "", ...more] = client.stderr.lines;
      expect([first, second, ...more]).toEqual([greeting(pair.listenerKind), greeting(pair.clientKind)]);
      expect(last.slice(last.indexOf(", ") + 2)).toBe(total);
      await listener.says("ended");
    },
  },
  {
    title: "half-close",
    description:
      "After the client's fin the listener sends more, and it arrives; then the listener's fin ends the stream.",
    async run(pair) {
      const { listener, client } = await pair.connected();
      const { input, printed } = conversation(pair, ["before the fin"]);
      client.write(input);
      const afterFin = printed.pop() ?? "";
      for (const line of printed) await client.says(line);
      client.endInput();
      await client.says(afterFin);
      await client.exits(0);
      await listener.says("ended");
    },
  },
  {
    title: "decline",
    description: "A client that the listener declines gets the listener's code and its reason, as they were given.",
    async run(pair) {
      const { agent: listener, name } = await pair.listener();
      const client = await pair.client(name, `not ${pair.password}`);
      expect(await client.fails("permission_denied", "DECLINED")).toBe("wrong password");
      expect(client.stdout.lines).toEqual([]);
      await listener.says("declined");
    },
  },
  {
    title: "no such name",
    description: "A client of a name that nobody claimed is told so, while the listener holds another.",
    async run(pair) {
      const { name } = await pair.listener();
      const client = await pair.client(`not ${name}`, pair.password);
      await client.fails("not_found", "NO_SUCH_NAME");
      expect(client.stdout.lines).toEqual([]);
    },
  },
  {
    title: "name taken",
    description: "A listener of the client's kind cannot claim the name that the listener holds, and is told so.",
    async run(pair) {
      const { name } = await pair.listener();
      const rival = await pair.rival(name);
      await rival.fails("already_exists", "NAME_TAKEN");
      expect(rival.stdout.lines).toEqual([]);
    },
  },
  {
    title: "cancellation",
    description: "When the client cancels in the middle, the listener is told that the client did.",
    async run(pair) {
      const { listener, client } = await pair.connected();
      await client.says(greeting(pair.listenerKind));
      await client.says(greeting(pair.clientKind));
      client.interrupt();
      await client.exits(130);
      // gRPC's libraries spell the code with two l's.
      await listener.says(/^ended cancell?ed FAILURE_PEER_CANCELED$/);
    },
  },
  {
    title: "listener lost",
    description: `When the listener is killed, or its page closed, the client is told within ${lossDeadlineMs / 1000} s, or ${graceMs / 1000} s later if both could resume: so short is the grace period here.`,
    async run(pair) {
      const { agent: listener, name } = await pair.ownListener();
      const client = await pair.client(name);
      await client.says(greeting(pair.listenerKind));
      await client.says(greeting(pair.clientKind));
      await listener.kill();
      await client.fails("unavailable", "LEG_LOST", graceMs + lossDeadlineMs);
    },
  },
];
