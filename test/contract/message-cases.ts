import type { RawMessage, Stream } from "browser-stream-server";
import { bytesOf } from "./bytes.js";
import { checkEqual } from "./check.js";
import type { ContractCase } from "./contract-case.js";

const partBytes = 262_144;
const parts = 16;

const kinds: readonly RawMessage[] = [
  "",
  "a",
  new Uint8Array(),
  new Uint8Array([0, 255]),
  "\u{1F600}é",
  "x".repeat(200_000),
  bytesOf(0, 200_000),
];

const numbered = (from: string) => Array.from({ length: 1_000 }, (_, at) => `${from} ${at}`);

export async function readAll(stream: Stream): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

async function exchange(stream: Stream, sent: readonly RawMessage[], expected: readonly RawMessage[]): Promise<void> {
  for (const message of sent) stream.write(message);
  stream.end();
  checkEqual("the messages of the other side", await readAll(stream), expected);
  await stream.closed;
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

export const messageCases: readonly ContractCase[] = [
  {
    name: "a thousand messages each way arrive whole and in order, and both sides end well",
    listen: async (party, server) => exchange(await party.next(server), numbered("listener"), numbered("client")),
    connect: (party) => exchange(party.connect(), numbered("client"), numbered("listener")),
  },
  {
    name: "messages keep their boundaries and their kind",
    listen: async (party, server) => exchange(await party.next(server), kinds, kinds),
    connect: (party) => exchange(party.connect(), kinds, kinds),
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
