import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, StreamError, StreamServer } from "browser-stream-server";
import { type HttpServer, serve } from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, selfSigned, type TestRelay } from "../../integration/relay-ports.js";
import { until } from "../../integration/until.js";

const browserOf = launchedEngines();

/** A listener that knows nothing of WebSockets. */
const listener = `
  import { StreamServer } from "browser-stream-server";
  await StreamServer(location.origin, (stream) => {
    stream.on("error", () => {});
    stream.on("data", (message) => {
      stream.write(typeof message === "string" ? message + " at " + stream.metadata.path : message.toReversed());
    });
    stream.on("end", () => stream.end());
  }).listen("tab").ready;
`;

/** Sends two messages by a browser's own WebSocket, and returns the answers, the subprotocol and the end. */
const client = `new Promise((resolve) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/~/tab/chat?room=1", ["best", "other"]);
  socket.binaryType = "arraybuffer";
  const answers = [];
  socket.onopen = () => {
    socket.send("hello");
    socket.send(new Uint8Array([1, 2, 3]));
  };
  socket.onmessage = ({ data }) => {
    answers.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
    if (answers.length === 2) socket.close(1000);
  };
  socket.onclose = ({ code, wasClean }) => resolve({ answers, protocol: socket.protocol, code, wasClean });
})`;

/** A page of the gateway with a button. */
const hasButton = 'document.querySelector("button") !== null';
const press = 'document.querySelector("button").click()';
const place = '[location.pathname, document.readyState].join(" ")';

describe.each(engines)("$name, with what the gateway asks of browsers,", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  let tab: EngineTab;
  const servers: HttpServer[] = [];
  /** The requests that came to listeners, but for those of the browser's own. */
  const came: string[] = [];

  beforeAll(async () => {
    relay = await openRelay({
      gateway: { by: "path", interstitial: true },
      authorize({ action, name, token }) {
        if (action === "listen" || name === "open") return {};
        if (token === "good") return { subject: "ann" };
        throw new StreamError("who are you?", { code: Code.Unauthenticated });
      },
    });
    for (const name of ["open", "private"]) {
      const server = serve(relay.origin, name, ({ method, url }, { caller }) => {
        const { pathname, search } = new URL(url);
        const who = caller?.meta.visit === undefined ? "somebody" : "a visitor";
        if (pathname !== "/favicon.ico") came.push(`${method} ${name} ${pathname}${search} by ${who}`);
        return new Response("<h1>hello</h1>", { headers: { "content-type": "text/html" } });
      });
      servers.push(server);
      await server.ready;
    }
    tab = await browserOf(engine).openTab(relay.origin);
  });

  afterAll(async () => {
    await tab?.close();
    for (const server of servers) await server.end();
    if (relay !== undefined) await holdsNothing(relay, "links");
    await relay?.close();
  });

  const linkTo = async (name: string) => {
    const headers = { authorization: "Bearer good" };
    const response = await fetch(`${relay.origin}/~visit/${name}`, { method: "POST", headers });
    return ((await response.json()) as { url: string }).url;
  };

  /** A page of the same server, which by its host is another site for a browser. */
  const ofAnotherSite = () => `${relay.origin.replace("127.0.0.1", "localhost")}/healthz`;

  /** Resolves when the button has led to a path, and the page is whole. */
  const pressTo = async (path: string) => {
    await tab.evaluate(press);
    let at = "";
    const isThere = async () => {
      at = String(await tab.evaluate(place).catch(() => ""));
      return at === `${path} complete`;
    };
    await until(isThere, () => at);
  };

  const hasCome = async (request: string) => {
    await until(
      () => came.length > 0,
      () => `${request} has not come`,
    );
    expect(came.splice(0)).toEqual([request]);
  };

  // One tab serves all of them.
  test("is told where it goes before the first visit, and goes there by itself afterwards", {
    concurrent: false,
  }, async () => {
    const url = `${relay.origin}/~/open/cells?since=3`;
    await tab.goto(url);
    expect([await tab.evaluate(hasButton), came]).toEqual([true, []]);
    await pressTo("/~/open/cells");
    await hasCome("GET open /cells?since=3 by somebody");
    await tab.goto(url);
    await hasCome("GET open /cells?since=3 by somebody");
  });

  test("comes in by a link, and stays in, where no other site's page takes it", { concurrent: false }, async () => {
    await tab.goto(await linkTo("private"));
    await pressTo("/~/private/");
    await hasCome("GET private / by a visitor");
    await tab.goto(`${relay.origin}/~/private/cells`);
    await hasCome("GET private /cells by a visitor");
    await tab.goto(ofAnotherSite());
    const target = JSON.stringify(`${relay.origin}/~/private/changed`);
    const call = `fetch(${target}, { method: "POST", mode: "no-cors", credentials: "include" }).then(() => "answered")`;
    expect(await tab.evaluate(call)).toBe("answered");
    expect(came).toEqual([]);
  });

  test("lets the WebSocket of the relay's own page in by the cookie, and none of another site's", {
    concurrent: false,
  }, async () => {
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("error", () => {});
      stream.end(stream.caller?.meta.visit === undefined ? "somebody" : "a visitor");
    }).listen("socket");
    await server.ready;
    await tab.goto(await linkTo("socket"));
    // The listener serves no pages.
    await pressTo("/~/socket/");
    const dial = `new Promise((resolve) => {
      const socket = new WebSocket("${relay.origin.replace("http", "ws")}/~/socket/");
      socket.onmessage = ({ data }) => resolve(data);
      socket.onerror = () => resolve("refused");
    })`;
    await tab.goto(`${relay.origin}/healthz`);
    expect(await tab.evaluate(dial)).toBe("a visitor");
    await tab.goto(ofAnotherSite());
    expect(await tab.evaluate(dial)).toBe("refused");
    await server.end();
  });
});

test.for(engines)(
  "$name keeps the cookie of a host over TLS, for the pages there",
  { concurrent: true },
  async (engine, { onTestFinished }) => {
    // Browsers know by themselves that names below localhost are this machine's.
    const gateway = { by: "host", host: "localhost" } as const;
    const relay = await openRelay({ gateway, tls: selfSigned(), authorize: () => ({ subject: "ann" }) });
    onTestFinished(() => relay.close());
    // Node takes no certificate that nobody trusts.
    const plain = createServer().listen(0, "127.0.0.1");
    await once(plain, "listening");
    onTestFinished(() => void plain.close().closeAllConnections());
    relay.proxy.install(plain);
    const { port } = plain.address() as AddressInfo;
    const server = serve(`http://127.0.0.1:${port}`, "name", ({ url }, { caller }) => {
      const text = `${new URL(url).pathname} by ${caller?.meta.visit === undefined ? "somebody" : "a visitor"}`;
      return new Response(text, { headers: { "content-type": "text/html" } });
    });
    onTestFinished(() => server.end());
    await server.ready;
    const made = await fetch(`http://127.0.0.1:${port}/~visit/name`, { method: "POST" });
    const { pathname } = new URL(((await made.json()) as { url: string }).url);
    const origin = `https://name.localhost:${new URL(relay.origin).port}`;
    const tab = await browserOf(engine).openTab(origin);
    onTestFinished(() => tab.close());
    await tab.goto(origin + pathname);
    await tab.evaluate(press);
    await until(async () => (await tab.evaluate("document.body.innerText").catch(() => "")) === "/ by a visitor");
    expect(await tab.evaluate('fetch("/cells", { method: "POST" }).then((answer) => answer.text())')).toBe(
      "/cells by a visitor",
    );
  },
);

test.for(engines)(
  "$name lets a page of an allowed origin call behind a policy, and tells it of failures",
  { concurrent: true },
  async (engine, { onTestFinished }) => {
    const app = createServer((_, response) => response.end()).listen(0, "127.0.0.1");
    await once(app, "listening");
    onTestFinished(() => void app.close().closeAllConnections());
    const appOrigin = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
    const relay = await openRelay({
      gateway: { by: "path" },
      origins: [appOrigin],
      authorize({ action, token }) {
        if (action === "listen" || token === "good") return {};
        throw new StreamError("who are you?", { code: Code.Unauthenticated });
      },
    });
    onTestFinished(() => relay.close());
    const server = serve(relay.origin, "a", ({ method }) => {
      return new Response(method, { headers: { "access-control-allow-origin": appOrigin } });
    });
    onTestFinished(() => server.end());
    await server.ready;
    const tab = await browserOf(engine).openTab(appOrigin);
    onTestFinished(() => tab.close());
    const call = (name: string, headers: object) => {
      const init = JSON.stringify({ method: "PUT", headers });
      const told =
        "answer.status, answer.headers.get('stream-error')?.split(',')[0], answer.headers.get('retry-after')";
      const answer = `fetch("${relay.origin}/~/${name}/", ${init}).then(async (answer) => [${told}, await answer.text()])`;
      return tab.evaluate(`${answer}.then((facts) => facts.join(" "))`);
    };
    const good = { authorization: "Bearer good" };
    expect(await call("a", good)).toBe("200   PUT");
    expect(await call("a", {})).toMatch(/^401 failure=not_permitted /);
    expect(await call("nobody", good)).toMatch(/^503 failure=no_such_name \d+ /);
  },
);

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  let tab: EngineTab;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    relay = await openRelay({ gateway: { by: "path" }, limits: { graceMs: 2_000 } });
    tab = await browserOf(engine).openTab(relay.origin);
    await tab.run(listener);
  });

  afterAll(async () => {
    await tab?.close();
    if (relay !== undefined) await holdsNothing(relay, "links");
    await relay?.close();
  });

  test("is called by the browser's own WebSocket, and calls itself so", async () => {
    expect(await tab.evaluate(client)).toEqual({
      answers: ["hello at /chat?room=1", [3, 2, 1]],
      protocol: "best",
      code: 1000,
      wasClean: true,
    });
  });

  test("is called by a WebSocket of Node", async () => {
    const socket = new WebSocket(`${relay.origin.replace("http", "ws")}/~/tab/`);
    await once(socket, "open");
    socket.send("hello");
    expect(String((await once(socket, "message"))[0])).toBe("hello at /");
    socket.close();
    await once(socket, "close");
  });
});
