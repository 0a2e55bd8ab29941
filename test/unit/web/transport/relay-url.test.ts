import { Code } from "@connectrpc/connect";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { basicCredentials } from "../../../../web/node/basic-credentials.js";
import { refuseCredentials, relayUrl } from "../../../../web/transport/relay-url.js";
import { createWebSocketTransport } from "../../../../web/transport/websocket-transport.js";
import { thrown } from "../../../fakes/outcome.js";

const invalid = { code: Code.InvalidArgument, hop: Hop.CALLER };

afterEach(() => vi.unstubAllGlobals());

describe("relayUrl", () => {
  test.each([
    ["https://relay.example", "", "https://relay.example"],
    ["https://relay.example/", "/browser-server", "https://relay.example/browser-server"],
    [new URL("http://relay.example:8080/a/"), "b/c/", "http://relay.example:8080/a/b/c"],
    ["https://relay.example", "/a?b#c", "https://relay.example/a%3Fb%23c"],
  ])("adds to %s the prefix %j", (base, prefix, href) => {
    expect(relayUrl(base, prefix)).toEqual({ href, username: "", password: "" });
  });

  test("makes Basic credentials of user and password, in UTF-8, and leaves them out of what is shown", () => {
    const url = relayUrl("https://us%40er:p%C3%A4ss%3Aw@relay.example/a");
    expect(url.href).toBe("https://relay.example/a");
    expect(basicCredentials(url).authorization).toBe(`Basic ${Buffer.from("us@er:päss:w").toString("base64")}`);
    expect(basicCredentials(relayUrl("https://50%@relay.example")).authorization).toBe(`Basic ${btoa("50%:")}`);
  });

  test.each([
    ["ftp://u:s3cret@relay.example", "ftp:"],
    ["wss://u:s3cret@relay.example", "wss:"],
    ["u:s3cret@relay.example", "u:"],
    ["http://u:s3/cr3t:s3cret@relay.example", "no URL"],
    ["//u:s3cret@relay.example", "no URL"],
    ["https://u:s3cret@relay.example/?a=1", "query"],
    ["https://u:s3cret@relay.example/#a", "fragment"],
    ["https://us3r%3as3cret@relay.example", "colon"],
    ["", "no URL"],
  ])("refuses %s without its password", (base, said) => {
    const error = thrown(() => relayUrl(base));
    expect(error).toMatchObject(invalid);
    expect(error.message).toContain(said);
    expect(error.message).not.toContain("s3");
  });

  test("refuses what is neither a string nor a URL, in a page too", () => {
    vi.stubGlobal("location", new URL("https://page.example/"));
    for (const base of [null, undefined, 8080, {}])
      expect(thrown(() => relayUrl(base as never))).toMatchObject(invalid);
  });

  test("reads a URL relative to the page, whose own query, fragment and user are the page's", () => {
    vi.stubGlobal("location", new URL("https://u:p@page.example/room/?name=a#b"));
    expect(relayUrl("")).toEqual({ href: "https://page.example/room", username: "", password: "" });
    expect(relayUrl("/", "/relay")).toMatchObject({ href: "https://page.example/relay" });
    expect(thrown(() => relayUrl("?a=1"))).toMatchObject(invalid);
  });
});

test("refuseCredentials refuses a user and a password alone, and shows neither", () => {
  refuseCredentials(relayUrl("https://relay.example"));
  const error = thrown(() => refuseCredentials(relayUrl("https://us3r:s3cret@relay.example")));
  expect(error).toMatchObject(invalid);
  expect(error.message).toContain("https://relay.example");
  expect(error.message).not.toContain("s3");
});

test("createWebSocketTransport takes a WebSocket's URL with a query, and in a page no credentials", () => {
  createWebSocketTransport({ baseUrl: "wss://relay.example/browser-server?zone=1" });
  for (const baseUrl of ["wss://u:p@relay.example", "https://relay.example/#a", "ftp://relay.example"]) {
    expect(thrown(() => createWebSocketTransport({ baseUrl }))).toMatchObject(invalid);
  }
});
