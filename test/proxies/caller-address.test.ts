import { createGrpcTransport } from "@connectrpc/connect-node";
import { type Stream, StreamClient, StreamError, type TransportLike } from "browser-stream-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol } from "../../link/packet/link-message.js";
import type { LinkSocketLike } from "../../web/link/websocket-link.js";
import { openWebSocketTransport } from "../../web/transport/websocket-transport.js";
import { openRelay } from "../integration/relay-ports.js";
import { proxies } from "./proxies.js";
import { trustTestCertificate } from "./trust.js";
import { prefixes } from "./ways.js";

/** All of 127.0.0.0/8 is this machine, so that a caller may have an address that no proxy has. */
const localAddress = "127.0.0.9";
/** A caller's own word about its address. */
const forged = "203.0.113.9";

const callers: Record<string, (origin: string) => TransportLike> = {
  websocket: (origin) => {
    const options = { localAddress, headers: { "x-forwarded-for": forged } };
    const open = (url: string) => new WebSocket(url, linkProtocol, options) as unknown as LinkSocketLike;
    return openWebSocketTransport({ baseUrl: `${origin}${prefixes[0]}` }, () => open);
  },
  native: (baseUrl) =>
    createGrpcTransport({
      baseUrl,
      // An option of the socket, which Node passes on.
      nodeOptions: { localAddress } as object,
      interceptors: [
        (next) => (request) => {
          request.header.set("x-forwarded-for", forged);
          return next(request);
        },
      ],
    }),
};

trustTestCertificate();

describe.each(Object.entries(proxies))("through %s", (_, { start, ways }) => {
  const kinds = Object.keys(callers).filter((kind) => Object.values(ways).some((way) => way.kind === kind));

  test.each(kinds)("a relay knows the address of a caller, whatever the caller says: %s", async (kind) => {
    const seen: string[] = [];
    const relay = await openRelay({
      prefix: prefixes,
      trustedProxies: ["127.0.0.1"],
      authorize: ({ caller }) => {
        seen.push(caller.address);
        throw new StreamError("nobody gets in");
      },
    });
    onTestFinished(() => relay.close());
    const proxy = await start(relay.origin);
    onTestFinished(() => proxy.end());
    const stream: Stream = StreamClient(callers[kind]!(proxy.origin)).connect("name");
    await expect(stream.opened).rejects.toThrow();
    expect(seen).toEqual([localAddress]);
  });
});
