import type { Stream, StreamServer } from "browser-stream-server";
import { bytesOf } from "./bytes.js";
import { checkEqual } from "./check.js";
import type { ContractCase } from "./contract-case.js";
import { readAll } from "./message-cases.js";
import type { Party } from "./party.js";
import { UnreadStream } from "./unread-stream.js";

const streams = 50;
const echoedParts = 2;
const echoedPartBytes = 8_192;

async function echo(stream: Stream): Promise<void> {
  const writer = stream.writable.getWriter();
  for await (const message of stream) await writer.write(message);
  await writer.close();
}

async function expectEcho(stream: Stream, seed: number): Promise<void> {
  const sent = Array.from({ length: echoedParts }, (_, part) => bytesOf(seed * echoedParts + part, echoedPartBytes));
  for (const part of sent) stream.write(part);
  stream.end();
  checkEqual(`the echo of stream ${seed}`, await readAll(stream), sent);
  await stream.closed;
}

async function nextUnread(party: Party, server: StreamServer): Promise<UnreadStream> {
  const unread = new UnreadStream(party, await party.next(server));
  await unread.fill();
  return unread;
}

async function connectUnread(party: Party): Promise<UnreadStream> {
  const unread = new UnreadStream(party, party.connect());
  await unread.fill();
  return unread;
}

export const flowCases: readonly ContractCase[] = [
  {
    name: "a receiver that does not read stops the sender, either way",
    listen: async (party, server) => (await nextUnread(party, server)).read(),
    connect: async (party) => (await connectUnread(party)).read(),
  },
  {
    name: `${streams} streams at once, one of them unread and the others unhindered`,
    async listen(party, server) {
      const unread = await nextUnread(party, server);
      await party.together("one stands still");
      const echoes: Promise<void>[] = [];
      while (echoes.length < streams - 1) echoes.push(echo(await party.next(server)));
      await Promise.all(echoes);
      await party.together("the others have ended");
      await unread.read();
    },
    async connect(party) {
      const unread = await connectUnread(party);
      await party.together("one stands still");
      await Promise.all(Array.from({ length: streams - 1 }, (_, seed) => expectEcho(party.connect(), seed)));
      await party.together("the others have ended");
      await unread.read();
    },
  },
];
