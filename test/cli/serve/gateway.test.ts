import { request as httpRequest } from "node:http";
import { serve } from "browser-stream-server/http";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../../relay-process.js";

/** Asks the relay under any host, which no name service has to know. */
function ask(origin: string, path: string, host: string, more: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(origin);
    const headers = { host, ...more };
    const request = httpRequest({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${text}`));
    });
    request.on("error", reject).end();
  });
}

test.each([
  ["path", [], "/~/notebook/cells", "localhost", "200 http://localhost/cells"],
  ["host", [], "/cells", "notebook.localhost", "200 http://notebook.localhost/cells"],
  [
    "host",
    ["--host-name", "a.example", "--host-name", "b.example"],
    "/x",
    "notebook.b.example",
    "200 http://notebook.b.example/x",
  ],
])("--gateway %s %j brings requests to names", async (by, more, path, host, expected) => {
  const relay = await startRelay("--gateway", by, ...more);
  onTestFinished(() => void relay.stop());
  const server = serve(relay.origin, "notebook", ({ url }) => new Response(url));
  onTestFinished(() => server.end());
  await server.ready;
  expect(await ask(relay.origin, path, host)).toBe(expected);
});

test("--gateway-interstitial shows browsers a page before their first visit, and is for a gateway alone", async () => {
  const relay = await startRelay("--gateway", "path", "--gateway-interstitial");
  onTestFinished(() => void relay.stop());
  const asked = (headers: Record<string, string>) => ask(relay.origin, "/~/notebook/", "localhost", headers);
  expect(await asked({})).toMatch(/^503 /);
  expect(await asked({ accept: "text/html" })).toMatch(/^200 /);
  await expect(startRelay("--gateway-interstitial")).rejects.toThrow();
});

test("there is no gateway where nothing asks for one", async () => {
  const relay = await startRelay();
  onTestFinished(() => void relay.stop());
  expect(await ask(relay.origin, "/~/notebook/", "localhost")).toMatch(/^404 /);
});
