import { createFetch, serve } from "browser-stream-server/http";
import { expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { openRelay } from "../relay-ports.js";

test("a call goes on where the connections of both sides are cut under it, and loses nothing", async () => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const open = () => ChaosProxy.open(Number(new URL(relay.origin).port));
  const networks = [await open(), await open()] as const;
  for (const network of networks) onTestFinished(() => network.close());
  const server = serve(networks[0].origin, "notebook", (request) => new Response(request.body));
  onTestFinished(() => server.end());
  await server.ready;
  const fetch = createFetch(networks[1].origin, "notebook");
  onTestFinished(() => fetch.close());

  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
  });
  const reader = (await fetch("/", { method: "POST", body })).body!.getReader();
  const chunk = new Uint8Array(65_536).map((_, at) => at);
  for (const at of [0, 1, 2, 3, 4, 5]) {
    controller.enqueue(chunk.slice(at));
    // Every second chunk is on its way, or in a buffer on it, when the connections break.
    if (at % 2 === 1) for (const network of networks) network.cut(at === 1 ? "rst" : "fin");
    let bytes = 0;
    while (bytes < chunk.byteLength - at) {
      const { value } = (await reader.read()) as { value: Uint8Array };
      expect(value.every((byte, offset) => byte === ((at + bytes + offset) & 0xff))).toBe(true);
      bytes += value.byteLength;
    }
  }
  controller.close();
  expect((await reader.read())?.done).toBe(true);
});
