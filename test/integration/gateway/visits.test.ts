import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { Code, StreamError, StreamServer } from "browser-stream-server";
import { serve } from "browser-stream-server/http";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { carriedGrantText } from "../../../server/admission/policy/carried-grant.js";
import { TokenSigner } from "../../../server/relay/token.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

type RelayOptions = Parameters<typeof openRelay>[0];

const ends: (() => Promise<unknown> | unknown)[] = [];
const tokenKeys = [new Uint8Array(32)] as const;

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A relay that lets in whoever has the token "good". */
async function opened(options: RelayOptions = {}): Promise<TestRelay> {
  const relay = await openRelay({
    gateway: { by: "path" },
    tokenKeys,
    authorize({ action, token }) {
      if (action === "listen") return {};
      if (token === "good") return { subject: "ann" };
      throw new StreamError("who are you?", { code: Code.Unauthenticated });
    },
    ...options,
  });
  ends.push(async () => {
    await holdsNothing(relay, "links");
    await relay.close();
  });
  return relay;
}

/** A listener that tells what it hears of its caller. */
async function serving(relay: TestRelay, name: string): Promise<void> {
  const server = serve(relay.origin, name, (request, { caller }) =>
    Response.json({
      cookie: request.headers.get("cookie"),
      authorization: request.headers.get("authorization"),
      subject: caller?.subject,
      isVisit: caller?.meta.visit !== undefined,
    }),
  );
  ends.push(() => server.end());
  await server.ready;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

function ask(relay: TestRelay, method: string, url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { port } = new URL(relay.origin);
  const { pathname, search, host } = new URL(url, relay.origin);
  const options = { host: "127.0.0.1", port, method, path: pathname + search, agent: false };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...options, headers: { host, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on("error", reject).end();
  });
}

async function linkTo(relay: TestRelay, name: string, headers: Record<string, string> = {}): Promise<string> {
  const path = `/~visit/${encodeURIComponent(name)}`;
  const { status, text } = await ask(relay, "POST", path, { authorization: "Bearer good", ...headers });
  expect(status).toBe(201);
  return (JSON.parse(text) as { url: string }).url;
}

/** Presses the button of a link's page. */
const press = (relay: TestRelay, url: string) => ask(relay, "POST", url, { origin: new URL(url).origin });

/** The cookies that an answer sets, as a browser sends them. */
const cookiesOf = ({ headers }: Answer) => (headers["set-cookie"] ?? []).map((each) => each.split(";")[0]).join("; ");

describe("a link to a name", () => {
  test("lets one browser in, as a visitor and not as its maker, when its button is pressed", async () => {
    const relay = await opened();
    await serving(relay, "a/b");
    const url = await linkTo(relay, "a/b");
    expect(url.slice(0, -22)).toBe(`${relay.origin}/~visit/a%2Fb/`);
    // A program that looks at the link for its preview uses nothing up.
    for (const method of ["HEAD", "GET", "GET"]) {
      const page = await ask(relay, method, url);
      expect([page.status, page.headers["cache-control"], page.headers["set-cookie"]]).toEqual([
        200,
        "no-store",
        undefined,
      ]);
    }
    expect((await ask(relay, "POST", url, { origin: "https://elsewhere.example" })).status).toBe(403);
    expect((await ask(relay, "POST", url)).status).toBe(403);
    const answer = await press(relay, url);
    expect([answer.status, answer.headers.location]).toEqual([303, "/~/a%2Fb/"]);
    const [visit, seen] = answer.headers["set-cookie"] ?? [];
    expect(visit).toMatch(/^relay-visit=[\w.-]+; Path=\/~\/a%2Fb\/; Max-Age=86400; HttpOnly; SameSite=Lax$/);
    expect(seen).toMatch(/^relay-seen=1; /);
    for (const method of ["GET", "POST"]) {
      expect((await ask(relay, method, url, { origin: relay.origin })).status).toBe(410);
    }
    const cookie = cookiesOf(answer);
    const { status, text } = await ask(relay, "GET", "/~/a%2Fb/", { cookie });
    expect([status, JSON.parse(text)]).toEqual([
      200,
      { cookie: null, authorization: null, subject: "", isVisit: true },
    ]);
    expect((await ask(relay, "GET", "/~/a%2Fb/")).status).toBe(401);
  });

  test("is made by whoever may connect, and opens no other name", async () => {
    const relay = await opened();
    await serving(relay, "other");
    expect((await ask(relay, "POST", "/~visit/name")).status).toBe(401);
    expect((await ask(relay, "GET", "/~visit/name")).status).toBe(405);
    const url = await linkTo(relay, "name");
    expect((await press(relay, url.replace("/name/", "/other/"))).status).toBe(410);
    const cookie = cookiesOf(await press(relay, url));
    expect((await ask(relay, "GET", "/~/other/", { cookie })).status).toBe(401);
  });

  test("counts for no page of another site, but for links of it", async () => {
    const relay = await opened();
    await serving(relay, "name");
    const cookie = cookiesOf(await press(relay, await linkTo(relay, "name")));
    const own = relay.origin;
    const asked: [method: string, headers: Record<string, string>, status: number][] = [
      ["POST", { "sec-fetch-site": "same-origin" }, 200],
      ["POST", { "sec-fetch-site": "same-site" }, 401],
      ["POST", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 401],
      ["GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 200],
      ["GET", { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }, 401],
      ["POST", { origin: own }, 200],
      ["POST", { origin: "null" }, 401],
      ["POST", {}, 401],
      ["GET", {}, 200],
    ];
    for (const [method, headers, status] of asked) {
      const answer = await ask(relay, method, "/~/name/", { ...headers, cookie });
      expect([method, headers, answer.status]).toEqual([method, headers, status]);
    }
  });

  test("lets a WebSocket of the name's own page in, and none of another site", async () => {
    const relay = await opened();
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("error", () => {});
      stream.end(JSON.stringify([stream.metadata.cookie, stream.caller?.subject]));
    }).listen("name");
    ends.push(() => server.end());
    await server.ready;
    const cookie = cookiesOf(await press(relay, await linkTo(relay, "name")));
    const dial = (origin: string) =>
      new WebSocket(`${relay.origin.replace("http", "ws")}/~/name/`, { headers: { cookie, origin } });
    const own = dial(relay.origin);
    const closed = once(own, "close");
    expect(String((await once(own, "message"))[0])).toBe('[null,""]');
    await closed;
    for (const origin of ["https://elsewhere.example", "null"]) {
      const other = dial(origin).on("error", () => {});
      const [request, answer] = await once(other, "unexpected-response");
      expect(answer.statusCode).toBe(401);
      request.destroy();
    }
  });

  test("ends with the grant of its maker, and so do its visits", async () => {
    const relay = await opened();
    await serving(relay, "name");
    const url = await linkTo(relay, "name");
    const cookie = cookiesOf(await press(relay, await linkTo(relay, "name")));
    expect((await ask(relay, "GET", "/~/name/", { cookie })).status).toBe(200);
    relay.proxy.revoke({ sub: "ann" });
    expect((await ask(relay, "GET", "/~/name/", { cookie })).status).toBe(401);
    expect((await ask(relay, "GET", url)).status).toBe(410);
  });

  test("lives no longer than the grant of its maker, and is not made of one that no cookie holds", async () => {
    let subject = "ann";
    const relay = await opened({ authorize: () => ({ subject, expiresAtMs: Date.now() + 60_000 }) });
    const [cookie] = (await press(relay, await linkTo(relay, "name"))).headers["set-cookie"] ?? [];
    expect(Number(/Max-Age=(\d+)/.exec(cookie ?? "")?.[1])).toBeLessThanOrEqual(60);
    subject = "a".repeat(3_000);
    expect((await ask(relay, "POST", "/~visit/name")).status).toBe(403);
  });

  test("lets nobody in any more when it has expired, whatever the browser keeps", async () => {
    const relay = await opened();
    await serving(relay, "name");
    const claims = { subject: "ann", name: "", meta: {}, issuedAtMs: Date.now(), cut: false, tokenId: "" };
    const status = async (expiresAtMs: number) => {
      const carried = carriedGrantText({ name: "name", claims: { ...claims, expiresAtMs } });
      const cookie = `relay-visit=id.${new TokenSigner(tokenKeys).sign("visit", "id", "name", carried)}`;
      return (await ask(relay, "GET", "/~/name/", { cookie })).status;
    };
    expect([await status(Date.now() + 60_000), await status(Date.now() - 1)]).toEqual([200, 401]);
  });

  test("makes a cookie for another process with the same key, and one that nobody else can make", async () => {
    const [relay, another] = [await opened(), await opened()];
    await serving(another, "name");
    const cookie = cookiesOf(await press(relay, await linkTo(relay, "name")));
    expect((await ask(another, "GET", "/~/name/", { cookie })).status).toBe(200);
    const forged = cookie.replace(/(relay-visit=)../, "$1AA");
    expect((await ask(another, "GET", "/~/name/", { cookie: forged })).status).toBe(401);
  });

  test("is for one host where names have hosts, whose listener gets its other cookies alone", async () => {
    const gateway = { by: "host", host: "relay.example" } as const;
    const relay = await opened({ gateway, trustedProxies: ["127.0.0.1"] });
    await serving(relay, "name");
    // A proxy in front ends TLS.
    const ofProxy = { "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https" };
    const url = await linkTo(relay, "name", { host: "relay.example", ...ofProxy });
    expect(url.slice(0, -22)).toBe("https://name.relay.example/~visit/name/");
    const answer = await press(relay, url);
    expect(answer.headers.location).toBe("/");
    expect(answer.headers["set-cookie"]?.[0]).toMatch(
      /^__Host-relay-visit=[\w.-]+; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure$/,
    );
    const headers = { cookie: `a=1; ${cookiesOf(answer)}; b=2`, authorization: "Bearer unknown" };
    const { text } = await ask(relay, "GET", "https://name.relay.example/", headers);
    expect(JSON.parse(text)).toEqual({ cookie: "a=1; b=2", authorization: null, subject: "", isVisit: true });
    // The page of another name can set cookies for all names, but none of this one's.
    for (const prefix of ["", "__Secure-"]) {
      const tossed = { cookie: cookiesOf(answer).replaceAll("__Host-", prefix), ...ofProxy };
      expect((await ask(relay, "GET", "https://name.relay.example/", tossed)).status).toBe(401);
    }
    // Another host, and the relay's own, open no link.
    expect((await ask(relay, "GET", url.replace("name.", "other."))).status).toBe(401);
    expect((await ask(relay, "GET", url.replace("name.relay", "relay"))).status).toBe(404);
  });
});

describe("the page before the first visit", () => {
  const navigation = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html" };

  test("is shown to browsers that go to a name, until its button is pressed", async () => {
    const relay = await opened({ gateway: { by: "path", interstitial: true }, authorize: undefined });
    await serving(relay, "name");
    const target = "/~/n%61me/cells?since=3";
    expect((await ask(relay, "GET", target)).headers["content-type"]).toBe("application/json");
    expect((await ask(relay, "GET", target, { ...navigation, "sec-fetch-mode": "cors" })).status).toBe(200);
    const page = await ask(relay, "GET", target, navigation);
    expect(page.headers["content-type"]).toContain("text/html");
    expect(page.text).toContain(`${relay.origin}/~/n%61me/`);
    const action = /action="([^"]*)"/.exec(page.text)?.[1] ?? "";
    expect((await ask(relay, "POST", action, { origin: "https://elsewhere.example" })).status).toBe(403);
    const answer = await press(relay, new URL(action, relay.origin).href);
    expect([answer.status, answer.headers.location]).toEqual([303, target]);
    const cookie = cookiesOf(answer);
    expect(answer.headers["set-cookie"]?.[0]).toContain("; Path=/~/n%61me/; ");
    expect((await ask(relay, "GET", target, { ...navigation, cookie })).headers["content-type"]).toBe(
      "application/json",
    );
  });

  test("is left for a name that ends like an attribute of a cookie, and for this one alone", async () => {
    const relay = await opened({ gateway: { by: "path", interstitial: true }, authorize: undefined });
    const url = `${relay.origin}/~visit/x;path=/first?${new URLSearchParams({ to: "/~/x;path=/a;b" })}`;
    const { headers } = await press(relay, url);
    expect(headers.location).toBe("/~/x%3Bpath=/a;b");
    expect(headers["set-cookie"]?.[0]).toMatch(/^relay-seen=1; Path=\/~\/x%3Bpath=\/; Max-Age=/);
  });

  test("leads nowhere but to the name, and shows it as what it is", async () => {
    const relay = await opened({ gateway: { by: "path", interstitial: true }, authorize: undefined });
    for (const to of [
      "https://elsewhere.example/",
      "//elsewhere.example/",
      "/~/other/",
      "/~/name/../other/",
      "/",
      "",
    ]) {
      const url = `${relay.origin}/~visit/name/first?${new URLSearchParams({ to })}`;
      expect([to, (await press(relay, url)).status]).toEqual([to, 400]);
    }
    const { text } = await ask(relay, "GET", `/~/${encodeURIComponent("<b>\u202egnp")}/`, navigation);
    expect(text).toContain("<bdi>&#60;b&#62;\\u{202e}gnp</bdi>");
    expect(text).not.toContain("<b>");
  });
});
