import { once } from "node:events";
import { connect, constants } from "node:http2";
import { expect, onTestFinished, test } from "vitest";
import { openRelay } from "../relay-ports.js";

/** A port of the relay's own cuts off a client that resets more than 200 calls at once. */
const resets = 300;
/** Fewer than a client may reset within one read of the network. */
const callsPerRound = 50;

test.each([
  ["lives if it is of a trusted proxy, which hands on the resets of all its callers", ["127.0.0.1"], false],
  ["is cut off otherwise", [], true],
])("a connection of HTTP/2 that resets many calls %s", async (_, trustedProxies, isCutOff) => {
  const relay = await openRelay({ trustedProxies });
  onTestFinished(() => relay.close());
  const session = connect(relay.origin).on("error", () => {});
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  const path = `${relay.proxy.prefixes[0]}/streamserver.v1.RelayService/Watch`;
  const headers = { ":method": "POST", ":path": path, "content-type": "application/connect+proto" };
  const begin = () => session.request(headers).on("error", () => {});
  // The relay has read all that was sent before once it has answered.
  const answered = () => new Promise<void>((resolve) => void session.ping(() => resolve()));
  for (let count = 0; count < resets && !session.destroyed; count += callsPerRound) {
    const calls = Array.from({ length: callsPerRound }, begin);
    await answered();
    for (const call of calls) call.close(constants.NGHTTP2_CANCEL);
    if (!session.destroyed) await answered();
  }
  expect(session.destroyed || session.closed).toBe(isCutOff);
});
