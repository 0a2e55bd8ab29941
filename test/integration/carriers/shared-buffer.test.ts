import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { EnvelopeReader } from "../../../leg/envelope-reader.js";
import { decodeLinkMessage } from "../../../link/packet/link-message.js";
import { EchoService } from "../../contract/service/echo-service.js";
import { credit, data, end, type PacketInit, RawLink } from "../raw-link.js";
import { openLinkServer } from "../socket-servers.js";

const partBytes = 60_000;
const mebibyte = 1_048_576;

let server: Awaited<ReturnType<typeof openLinkServer>>;

beforeAll(async () => {
  server = await openLinkServer((router) =>
    router.service(EchoService, {
      async *serverStream({ value }) {
        for (;;) yield { value: value.repeat(partBytes) };
      },
    }),
  );
});

afterAll(() => server.close());

/** Asks for a letter without end. */
function asking(letter: string): PacketInit[] {
  const path = `/${EchoService.typeName}/${EchoService.method.serverStream.name}`;
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  const message = toBinary(StringValueSchema, create(StringValueSchema, { value: letter }));
  return [
    { channel: 1, content: { case: "request", value: { path, headers } } },
    credit(1, 2n ** 50n),
    data(1, envelope(0, message)),
    end(1),
  ];
}

/** Asks for a letter without end on a link of its own, and counts what comes instead of it. */
async function ask(letter: string) {
  const raw = await RawLink.open(server);
  const whole = toBinary(StringValueSchema, create(StringValueSchema, { value: letter.repeat(partBytes) }));
  const counts = { right: 0, wrong: 0 };
  const reader = new EnvelopeReader(2 * partBytes, (_flags, received) => {
    counts[Buffer.compare(dataOf(received), whole) === 0 ? "right" : "wrong"] += 1;
    return true;
  });
  raw.socket.on("message", (message: Buffer) => {
    for (const { content } of decodeLinkMessage(message).packets) {
      if (content.case === "data") reader.push(content.value);
    }
  });
  return { raw, counts, start: () => raw.send(...asking(letter)) };
}

test("what waits for a link that does not read stays as it is while others are served", async () => {
  const [slow, quick] = [await ask("s"), await ask("q")];
  const [connection] = server.connections;
  slow.raw.connection.pause();
  slow.start();
  for (let turns = 0; connection?.writableLength === 0; turns += 1) {
    if (turns === 4_000) throw new Error("nothing waits");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  quick.start();
  await quick.raw.until(() => quick.raw.receivedBytes > 4 * mebibyte);
  slow.raw.connection.resume();
  // The bytes are more than can have waited, most of them in the kernel.
  await slow.raw.until(() => slow.raw.receivedBytes > 16 * mebibyte);
  for (const { raw } of [slow, quick]) await raw.close();
  for (const { counts } of [slow, quick]) {
    expect(counts.right).toBeGreaterThan(0);
    expect(counts.wrong).toBe(0);
  }
});
