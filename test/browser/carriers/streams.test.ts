import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WebWay } from "../../contract/web-way.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { openPages, type Pages } from "../pages.js";

const browserOf = launchedEngines();
let relay: TestRelay;
let pages: Pages;

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
});

afterAll(async () => {
  await pages?.close();
  await relay?.close();
});

const page = `
  import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
  import { transportOf } from "browser-stream-server/contract";
  const client = StreamClient(location.origin);
  const printed = [];
  console.error = (line) => printed.push(line);
  const tried = (action) => {
    try {
      action();
      return "nothing was thrown";
    } catch ({ code }) {
      return Code[code];
    }
  };
  /** Fails without a handler, and gives what the console says. */
  globalThis.connectToNobody = async () => {
    const stream = client.connect("nobody's");
    await new Promise((resolve) => stream.on("close", resolve));
    return printed;
  };
  globalThis.closedBy = (name) => client.connect(name).closed.then(
    () => "closed",
    ({ code, message }) => [Code[code], message],
  );
  /** Writes bytes of a frame's realm, shared ones, and ones that were transferred away before. */
  globalThis.writeStrangeBytes = async () => {
    const frame = document.body.appendChild(document.createElement("iframe"));
    const foreign = frame.contentWindow.Uint8Array.of(1, 2);
    const gone = new Uint8Array(5);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const stream = client.connect("echo");
    const refused = [tried(() => stream.write(gone)), tried(() => stream.write("\\ud83d"))];
    stream.write(foreign);
    stream.write(foreign.buffer);
    if (globalThis.SharedArrayBuffer) stream.write(new Uint8Array(new SharedArrayBuffer(2)).fill(1));
    if ("resizable" in ArrayBuffer.prototype) stream.write(new Uint8Array(new ArrayBuffer(2, { maxByteLength: 4 })).fill(1));
    stream.end();
    let echoed = 0;
    for await (const bytes of stream) echoed += bytes instanceof Uint8Array && bytes.length === 2 && bytes[0] === 1;
    await stream.closed;
    const written = 2 + !!globalThis.SharedArrayBuffer + ("resizable" in ArrayBuffer.prototype);
    return { refused, allEchoed: echoed === written };
  };
  /** Transfers large bytes away after they were written. */
  globalThis.transferTooEarly = () => {
    const stream = client.connect("echo");
    const bytes = new Uint8Array(1_000_000);
    stream.write(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return stream.closed.catch(({ code, failure }) => [Code[code], Failure[failure]]);
  };
  /** Connects over a link of its own, and ends well. */
  globalThis.knock = async (way) => {
    const stream = StreamClient(transportOf(way)).connect("door");
    stream.end().resume();
    await stream.closed;
    return typeof stream.caller;
  };
  /** A host: every client gets what any of them says. */
  globalThis.host = async (name) => {
    const server = StreamServer(location.origin, (stream) => {
      stream.on("data", (message) => server.broadcast(message)).on("error", () => {});
    }).listen(name);
    globalThis.guests = () => server.streams.size;
    await server.ready;
  };
`;

describe.each(engines)("streams in $name", (engine) => {
  let tab: EngineTab;

  beforeAll(async () => {
    tab = await browserOf(engine).openTab(pages.origin);
    await tab.run(page);
  });

  afterAll(() => tab?.close());

  test("an error that nobody listens for is on the console once, with its failure, the name and the relay", async () => {
    const printed = (await tab.evaluate("connectToNobody()")) as string[];
    expect(printed).toHaveLength(1);
    for (const part of [Failure[Failure.NO_SUCH_NAME], "nobody's", `${pages.origin}/browser-server`]) {
      expect(printed[0]).toContain(part);
    }
  });

  test("a listener that uses a stream and destroys it at once is heard at once", async () => {
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("error", () => {}).write("full");
      stream.destroy(new Error("no"));
    }).listen("full");
    await server.ready;
    expect(await tab.evaluate('closedBy("full")')).toEqual([Code[Code.Unknown], "no"]);
    await server.end();
  });

  test("bytes of every kind arrive, and mistakes are told where they are made", async () => {
    const server = StreamServer(relay.origin, (stream) => stream.on("error", () => {}).pipe(stream)).listen("echo");
    await server.ready;
    const invalid = Code[Code.InvalidArgument];
    expect(await tab.evaluate("writeStrangeBytes()")).toEqual({ refused: [invalid, invalid], allEchoed: true });
    expect(await tab.evaluate("transferTooEarly()")).toEqual([invalid, Failure[Failure.UNSPECIFIED]]);
    await server.end();
  });

  test.each(["websocket", "connect-binary"] as const)(
    "Stream.caller has the origin of a page over %s",
    async (kind) => {
      const origins: (string | undefined)[] = [];
      const server = StreamServer(relay.origin, (stream) => {
        origins.push(stream.caller?.origin);
        stream.end().resume();
      }).listen("door");
      await server.ready;
      const way: WebWay = { kind, url: `${pages.origin}/browser-server` };
      expect(await tab.evaluate(`knock(${JSON.stringify(way)})`)).toBe("undefined");
      expect(origins).toEqual([pages.origin]);
      await server.end();
    },
  );

  test("a tab broadcasts to its live streams", async () => {
    const name = `room in ${engine.name}`;
    await tab.evaluate(`host(${JSON.stringify(name)})`);
    const heard = await Promise.all([1, 2, 3].map(() => guestOf(name)));
    expect(await tab.evaluate("guests()")).toBe(3);
    heard[0]?.say("hello");
    for (const guest of heard) expect(await guest.next()).toBe("hello");
    heard[0]?.leave();
    await heard[0]?.left;
    while ((await tab.evaluate("guests()")) !== 2);
    heard[1]?.say("still here");
    for (const guest of heard.slice(1)) expect(await guest.next()).toBe("still here");
    for (const guest of heard) guest.leave();
  });
});

async function guestOf(name: string) {
  const stream = StreamClient(relay.origin).connect(name);
  const left = stream.closed.catch(() => {});
  await stream.opened;
  const messages = stream[Symbol.asyncIterator]();
  return {
    say: (message: string) => stream.write(message),
    next: async () => (await messages.next()).value,
    leave: () => stream.destroy(),
    left,
  };
}
