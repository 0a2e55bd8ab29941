import { expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { libraries } from "../../contract/websocket/libraries.js";
import { streamSocket } from "../../contract/websocket/library.js";
import { holdsNothing, openRelay } from "../relay-ports.js";

test.each(libraries)("$name goes on where the connections of both sides are cut under it", async (library) => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const open = () => ChaosProxy.open(Number(new URL(relay.origin).port));
  const networks = [await open(), await open()] as const;
  for (const network of networks) onTestFinished(() => network.close());
  const server = await library.serve(networks[0].origin, "library");
  const client = await library.connect(...streamSocket(networks[1].origin, "library"));
  expect(await client.exchange(1)).toEqual([1]);
  for (const how of ["rst", "fin"] as const) {
    const steps = how === "rst" ? [2, 3] : [4, 5];
    const [before, after] = steps as [number, number];
    const exchanged = client.exchange(before);
    for (const network of networks) network.cut(how);
    await exchanged;
    expect(await client.exchange(after)).toEqual(Array.from({ length: after }, (_, at) => at + 1));
  }
  expect(server.sockets()).toBe(1);
  await client.close();
  await server.end();
  await holdsNothing(relay, "links");
});

test.each(libraries)(
  "$name of a client that has only a URL reaches the same server by the gateway",
  async (library) => {
    const relay = await openRelay({ gateway: { by: "path" } });
    onTestFinished(() => relay.close());
    const server = await library.serve(relay.origin, "library");
    const client = await library.connect(WebSocket, `${relay.origin.replace("http", "ws")}/~/library`);
    expect(await client.exchange(1)).toEqual([1]);
    expect(await client.exchange(2)).toEqual([1, 2]);
    await client.close();
    await server.end();
    await holdsNothing(relay, "links");
  },
);
