import { type EventEmitter, once } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { rawCodec } from "../../../stream/codec.js";
import { asWebSocket, type StreamCloseEvent, type StreamWebSocket } from "../../../websocket/index.js";
import { exchange } from "../../fakes/frames.js";
import { settled } from "../../fakes/outcome.js";
import { streamAndPeer, textMessage } from "../../fakes/streams.js";
import { uncaughtDuring } from "../../fakes/uncaught.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The events of a socket as they come. */
function eventsOf(socket: StreamWebSocket): unknown[] {
  const events: unknown[] = [];
  socket.addEventListener("open", () => events.push("open"));
  socket.addEventListener("message", (event) => events.push((event as MessageEvent).data));
  socket.addEventListener("close", (event) => events.push((event as StreamCloseEvent).code));
  return events;
}

test("StreamWebSocket is open before a message that comes with the news that the peer has accepted", async () => {
  const { stream, life, peer } = streamAndPeer({}, rawCodec);
  const events = eventsOf(asWebSocket(stream));
  await settled();
  peer.write(textMessage("at once"));
  life.accept(life.endpoint.capabilities);
  exchange(life.endpoint, peer);
  await settled();
  expect(events).toEqual(["open", "at once"]);
});

test("StreamWebSocket tells that it is open, or closed, where its stream was before", async () => {
  const { stream, life } = streamAndPeer({}, rawCodec);
  life.accept(life.endpoint.capabilities);
  await settled();
  const open = eventsOf(asWebSocket(stream));
  await settled();
  expect(open).toEqual(["open"]);
  stream.destroy();
  await settled();
  const closed = asWebSocket(stream);
  const events = eventsOf(closed);
  await settled();
  expect([events, closed.readyState]).toEqual([[1006], closed.CLOSED]);
});

test("StreamWebSocket.close gives a peer that does not answer 150 s, and then ends the stream", async () => {
  const { stream, life, carry } = streamAndPeer({}, rawCodec);
  life.accept(life.endpoint.capabilities);
  const socket = asWebSocket(stream);
  await settled();
  const events = eventsOf(socket);
  socket.close();
  await carry();
  vi.advanceTimersByTime(149_999);
  await settled();
  expect([events, socket.readyState]).toEqual([[], socket.CLOSING]);
  vi.advanceTimersByTime(1);
  await settled();
  expect([events, socket.readyState]).toEqual([[1006], socket.CLOSED]);
  expect(vi.getTimerCount()).toBe(0);
});

test("StreamWebSocket.close leaves no timer behind when the peer answers", async () => {
  const { stream, life, peer, carry } = streamAndPeer({}, rawCodec);
  life.accept(life.endpoint.capabilities);
  const socket = asWebSocket(stream);
  await settled();
  socket.close();
  peer.finish();
  await carry();
  expect([socket.readyState, vi.getTimerCount()]).toEqual([socket.CLOSED, 0]);
});

test("StreamWebSocket.close rounds its code, as a WebSocket does", async () => {
  const { stream, life } = streamAndPeer({}, rawCodec);
  life.accept(life.endpoint.capabilities);
  const socket = asWebSocket(stream);
  await settled();
  const events = eventsOf(socket);
  socket.close(3000.2);
  await settled();
  expect(events).toEqual([3000]);
});

test("once of node:events takes its listeners off a StreamWebSocket, whose failure harms nobody then", async () => {
  const { stream, life } = streamAndPeer({}, rawCodec);
  const socket = asWebSocket(stream);
  const opened = once(socket as unknown as EventEmitter, "open");
  life.accept(life.endpoint.capabilities);
  await opened;
  const events = eventsOf(socket);
  expect(await uncaughtDuring(() => socket.terminate())).toEqual([]);
  expect(events).toEqual([1006]);
});
