import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";

import { decodeLinkMessage, encodePackets, lastPacket } from "../../../../link/packet/link-message.js";
import { isOfRelay } from "../../../../stream/error/failure-detail.js";

import { StreamError } from "../../../../stream/error/stream-error.js";
import { openWebSocketLink } from "../../../../web/link/websocket-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakeSocket } from "../../../fakes/fake-socket.js";
import { packet, request } from "../../../fakes/links.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";

const openTimeoutMs = 1_000;
/** What a page that stood still has to read what came meanwhile. */
const lastWaitMs = 100;

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => vi.unstubAllGlobals());

function opening() {
  const opened = openWebSocketLink("http://relay.example", clock, openTimeoutMs);
  opened.catch(() => {});
  return { opened, socket: FakeSocket.last };
}

test("a relay has its time to open a link, and no more", async () => {
  const { opened } = opening();
  clock.advance(openTimeoutMs - 1);
  expect(await promiseState(opened)).toBe("pending");
  clock.advance(1);
  expect(await rejection(opened)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  expect(clock.timers).toBe(0);
});

test("a page that stood still while a link opened reads what came meanwhile", async () => {
  const { opened, socket } = opening();
  clock.sleep(10 * openTimeoutMs);
  socket.open();
  const { link } = await opened;
  clock.advance(lastWaitMs);
  expect(link.isOpen).toBe(true);
});

test("a page that stood still and has nothing to read waits a little longer", async () => {
  const { opened } = opening();
  clock.sleep(10 * openTimeoutMs);
  clock.advance(lastWaitMs - 1);
  expect(await promiseState(opened)).toBe("pending");
  clock.advance(1);
  expect((await rejection(opened)).failure).toBe(Failure.LEG_LOST);
});

test.each<[string, string | Uint8Array]>([
  ["text", "text"],
  ["bytes that nobody can decode", new Uint8Array([255, 255, 255, 255])],
  ["a message that opens no link", new Uint8Array()],
  ["a message that is for a link", encodePackets([packet({ content: { case: "pong", value: {} } })]).joined],
])("%s instead of a link is no word of the relay's", async (_, message) => {
  const { opened, socket } = opening();
  socket.say(message);
  expect(isOfRelay((await rejection(opened)).failure)).toBe(false);
  expect(socket.closeCode).toBe(4000 + Code.Unavailable);
  expect(clock.timers).toBe(0);
});

test.each<[string, string | Uint8Array]>([
  ["text", "text"],
  ["bytes that nobody can decode", new Uint8Array([255, 255, 255, 255])],
])("%s on an open link breaks the rules", async (_, message) => {
  const { opened, socket } = opening();
  socket.open();
  const { link } = await opened;
  socket.say(message);
  expect(await link.closed).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION });
  expect(socket.closeCode).toBe(4000 + Code.InvalidArgument);
});

test("a reset instead of a link is the relay's word", async () => {
  const { opened, socket } = opening();
  socket.answer(lastPacket(new StreamError("full", { failure: Failure.LIMIT_REACHED })));
  expect((await rejection(opened)).failure).toBe(Failure.LIMIT_REACHED);
});

test("a link ends when its WebSocket takes nothing", async () => {
  const { opened, socket } = opening();
  socket.open();
  const { link } = await opened;
  socket.send = () => {
    throw new DOMException("closing", "InvalidStateError");
  };
  link.open(request());
  await settled();
  expect(link.isOpen).toBe(false);
});

test("openWebSocketLink: a WebSocket that sends later, as jsdom's does, sends the bytes that it was handed", async () => {
  const kept: Uint8Array[] = [];
  vi.stubGlobal(
    "WebSocket",
    class extends FakeSocket {
      override send(bytes: Uint8Array): void {
        kept.push(bytes);
      }
    },
  );
  const { opened, socket } = opening();
  socket.open();
  const { link } = await opened;
  const paths = ["/first", "/second"];
  for (const path of paths) {
    link.open(request(path));
    await settled();
  }
  const packets = kept.flatMap((bytes) => decodeLinkMessage(bytes).packets);
  expect(packets.map(({ content }) => content.case === "request" && content.value.path)).toEqual(paths);
});
