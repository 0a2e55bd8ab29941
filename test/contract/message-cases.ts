import type { RawMessage, Stream } from "browser-stream-server";
import { bytesOf } from "./bytes.js";
import { checkEqual } from "./check.js";
import type { ContractCase } from "./contract-case.js";

const partBytes = 262_144;
const parts = 16;

/** Makes the messages anew each time, so that neither side sees what the other does to the memory of its own. */
const kinds = (): RawMessage[] => [
  "",
  "a",
  new Uint8Array(),
  new Uint8Array([0, 255]),
  "\u{1F600}é",
  "x".repeat(200_000),
  bytesOf(0, 200_000),
  bytesOf(1, 65_536),
  bytesOf(2, 10),
  bytesOf(3, 65_536),
  "b",
  bytesOf(4, 30_000),
  bytesOf(5, 65_536),
  bytesOf(6, 65_536),
];

const numbered = (from: string) => Array.from({ length: 1_000 }, (_, at) => `${from} ${at}`);

export async function readAll(stream: Stream): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

async function exchange(
  stream: Stream,
  sent: readonly RawMessage[],
  expected: readonly RawMessage[],
  read = readAll,
): Promise<void> {
  for (const message of sent) stream.write(message);
  stream.end();
  checkEqual("the messages of the other side", await read(stream), expected);
  await stream.closed;
}

/** Gives the memory of each message away as soon as it is there, which leaves nothing in it. */
function readAway(stream: Stream): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  stream.on("data", (message) => {
    if (typeof message === "string") {
      messages.push(message);
      return;
    }
    checkEqual("where a message begins in its buffer", message.byteOffset, 0);
    const length = message.byteLength;
    messages.push(new Uint8Array(structuredClone(message.buffer, { transfer: [message.buffer] }), 0, length));
  });
  return new Promise((resolve, reject) => {
    stream.once("end", () => resolve(messages));
    stream.once("error", reject);
  });
}

async function endFirst(stream: Stream): Promise<void> {
  stream.end("the last word");
  let read = 0;
  for await (const part of stream) checkEqual(`part ${read}`, part, bytesOf(read++, partBytes));
  checkEqual("the number of parts", read, parts);
  await stream.closed;
}

async function endLast(stream: Stream): Promise<void> {
  checkEqual("what was said before the end", await readAll(stream), ["the last word"]);
  const writer = stream.writable.getWriter();
  for (let part = 0; part < parts; part++) await writer.write(bytesOf(part, partBytes));
  await writer.close();
  await stream.closed;
}

/** Writes at once, and notes what the stream tells and when. */
async function tellInOrder(stream: Stream): Promise<void> {
  const told: string[] = [];
  for (const event of ["transport", "open", "data", "end"] as const) stream.on(event, () => told.push(event));
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  stream.end("a word");
  await closed;
  checkEqual("the order of the events", told, ["transport", "open", "data", "end"]);
  await stream.closed;
}

export const messageCases: readonly ContractCase[] = [
  {
    name: "a stream on which both sides write at once is open before there is data",
    listen: async (party, server) => tellInOrder(await party.next(server)),
    connect: (party) => tellInOrder(party.connect()),
  },
  {
    name: "a thousand messages each way arrive whole and in order, and both sides end well",
    listen: async (party, server) => exchange(await party.next(server), numbered("listener"), numbered("client")),
    connect: (party) => exchange(party.connect(), numbered("client"), numbered("listener")),
  },
  {
    name: "messages keep their boundaries and their kind",
    listen: async (party, server) => exchange(await party.next(server), kinds(), kinds(), readAway),
    connect: (party) => exchange(party.connect(), kinds(), kinds(), readAway),
  },
  {
    name: "after the client has ended, 4 MiB come from the listener",
    listen: async (party, server) => endLast(await party.next(server)),
    connect: (party) => endFirst(party.connect()),
  },
  {
    name: "after the listener has ended, 4 MiB come from the client",
    listen: async (party, server) => endFirst(await party.next(server)),
    connect: (party) => endLast(party.connect()),
  },
];
