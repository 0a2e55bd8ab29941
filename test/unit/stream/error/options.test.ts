import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { rawCodec } from "../../../../stream/codec.js";
import { createEntry } from "../../../../web/api/entry.js";
import { Transports } from "../../../../web/transport/transports.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection, settled, thrown } from "../../../fakes/outcome.js";

const shown: string[] = [];
const transports = new Transports(() => new Promise(() => {}), new FakeClock());
const { StreamServer, StreamClient } = createEntry(transports, new FakeClock(), (line) => void shown.push(line));
const url = "http://localhost:8080";
const connect = (options: object) => StreamClient(url).connect("name", options as never);

/** The places where an application hands in options: a server, a client and `connect` take the endpoint's. */
const takers: [string, (options: object) => unknown][] = [
  ["StreamServer", (options) => StreamServer(url, options as never, () => {})],
  ["StreamClient", (options) => StreamClient(url, options as never)],
  ["connect", connect],
];

const misspelt: [string, object, string][] = [
  ["StreamServer", { listd: true }, "listed"],
  ["StreamServer", { Codec: rawCodec }, "codec"],
  ["StreamClient", { codek: rawCodec }, "codec"],
  ["StreamClient", { maxMesageByte: 1 }, "maxMessageBytes"],
  ["connect", { metaData: {} }, "metadata"],
  ["connect", { signl: undefined, sginal: null }, "signal"],
];

describe("checkOptions", () => {
  test.each(misspelt)(
    "of %s names an option that there is not and the nearest that there is: %j",
    (of, options, near) => {
      const [, take] = takers.find(([name]) => name === of) as (typeof takers)[number];
      const error = thrown(() => take(options));
      const given = Object.entries(options).find(([, value]) => value !== undefined)?.[0] as string;
      expect(error).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
      for (const word of [of, given, near]) expect(error.message).toContain(word);
      expect(error.message).not.toContain("maxBufferedBytes");
    },
  );

  test("names those that there are where none is near, and takes no property of every object for one", () => {
    for (const name of ["colour", "toString", "__proto__x"]) {
      expect(thrown(() => connect({ [name]: 1 })).message).toContain("metadata");
    }
  });

  test.each(takers)("of %s takes undefined for the default, and whole numbers above 0", (_of, take) => {
    const names = ["maxMessageBytes", "windowBytes", "highWaterMarkBytes", "maxBufferedBytes"];
    for (const name of names) {
      for (const value of [-1, 0, Number.NaN, 1.5, Number.POSITIVE_INFINITY, "65536", null, 10n, {}]) {
        const error = thrown(() => take({ [name]: value }));
        expect(error).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
        expect(error.message).toContain(name);
      }
      take({ [name]: undefined });
      take({ [name]: 65_536 });
    }
  });

  test("of StreamServer and StreamClient takes undefined for every default, and nothing of another type", () => {
    const bad = [{ prefix: 1 }, { codec: {} }, { codec: null }, { listed: "yes" }, "options", null, 7];
    for (const options of bad) {
      expect(thrown(() => StreamServer(url, options as never, () => {})).code).toBe(Code.InvalidArgument);
    }
    StreamServer(url, { prefix: undefined, codec: undefined, listed: undefined }, undefined);
    StreamClient(url, { prefix: undefined, codec: undefined });
    expect(thrown(() => StreamServer(url, {}, "callback" as never)).code).toBe(Code.InvalidArgument);
    expect(thrown(() => connect({ signal: {} })).code).toBe(Code.InvalidArgument);
  });

  test("of StreamServer takes an owner key of up to 128 bytes of UTF-8", () => {
    for (const ownerKey of ["é".repeat(65), "\ud800", 1]) {
      expect(thrown(() => StreamServer(url, { ownerKey: ownerKey as string })).code).toBe(Code.InvalidArgument);
    }
    for (const ownerKey of ["é".repeat(64), "", undefined]) StreamServer(url, { ownerKey });
  });

  test("of connect lets undefined leave the client's own option alone", () => {
    const stream = StreamClient(url, { highWaterMarkBytes: 1 }).connect("name", { highWaterMarkBytes: undefined });
    expect(stream.write("above it")).toBe(false);
    stream.destroy();
  });

  test("of connect takes metadata that is a record of well-formed strings, as it was then", () => {
    const bad = [
      { age: 5 },
      { who: undefined },
      { who: "\ud83d" },
      { "\ude00": "who" },
      [],
      ["who"],
      new Map(),
      "who",
      null,
    ];
    for (const metadata of bad) {
      const error = thrown(() => connect({ metadata }));
      expect(error).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
      expect(error.message).toContain("metadata");
    }
    const metadata: Record<string, string> = Object.assign(Object.create(null), { who: "\u{1F600}" });
    const stream = connect({ metadata });
    metadata.who = "another";
    expect(stream.metadata).toEqual({ who: "\u{1F600}" });
    stream.destroy();
  });
});

describe("a name that cannot be", () => {
  test.each(["half\ud83d", "\ude00", undefined, 7])(
    "%j is refused, as those are that the relay refuses",
    async (name) => {
      const invalid = { failure: Failure.NAME_INVALID, code: Code.InvalidArgument, hop: Hop.CALLER };
      const stream = StreamClient(url).connect(name as string);
      expect(await rejection(stream.opened)).toMatchObject(invalid);
      const server = StreamServer(url, () => {}).listen(name as string);
      expect(await rejection(server.ready)).toMatchObject(invalid);
      expect(await rejection(server.closed)).toMatchObject(invalid);
      await server.end();
      expect(shown).toEqual([]);
    },
  );

  test("is shown where nobody listens", async () => {
    StreamClient(url).connect("\ud83d");
    StreamServer(url, () => {}).listen("\ud83d");
    await settled();
    expect(shown.splice(0).map((line) => line.includes("NAME_INVALID") && line.includes(url))).toEqual([true, true]);
  });
});
