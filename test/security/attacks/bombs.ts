import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { constants, gzipSync } from "node:zlib";
import { type Attack, type Bounds, mebibyte } from "../attack.ts";
import { RawConnection } from "../wire/raw-connection.ts";

/** 200 MB of spaces, which a JSON message may have any number of, in 194 kB. */
const bomb = () => gzipSync(Buffer.alloc(200_000_000, 0x20), { level: constants.Z_BEST_COMPRESSION });
const bounds: Bounds = { cutOffMs: 5_000, peakBytes: 5 * mebibyte, roundTripMs: 250, turnMs: 50 };

/** Resolves with the error that a call ends with, or else with the status of its response. */
async function post(
  session: ClientHttp2Session,
  method: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<string> {
  const call = session.request({ ":method": "POST", ":path": `/streamserver.v1.${method}`, ...headers });
  let trailers: Record<string, unknown> = {};
  call.on("trailers", (fields) => {
    trailers = fields;
  });
  // A server that refuses a request early resets it, and its answer has come before.
  call.on("error", () => {});
  call.end(body);
  const [answer] = await once(call, "response");
  let text = "";
  for await (const chunk of call) text += chunk;
  const status = trailers["grpc-status"] ?? answer["grpc-status"] ?? /grpc-status: (\d+)/.exec(text)?.[1];
  return /"code":"(\w+)"/.exec(text)?.[1] ?? (status === undefined ? `${answer[":status"]}` : `gRPC ${status}`);
}

function envelope(flags: number, body: Uint8Array): Buffer {
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([head, body]);
}

/** The calls with a compressed message, which is the body, or an envelope in it. */
const calls: [method: string, headers: Record<string, string>, isEnvelope: boolean][] = [
  ["RelayService/List", { "content-type": "application/json", "content-encoding": "gzip" }, false],
  ["LinkService/Send", { "content-type": "application/json", "content-encoding": "gzip" }, false],
  ["RelayService/Listen", { "content-type": "application/connect+json", "connect-content-encoding": "gzip" }, true],
  ["RelayService/Connect", { "content-type": "application/connect+json", "connect-content-encoding": "gzip" }, true],
  ["RelayService/Connect", { "content-type": "application/connect+proto", "connect-content-encoding": "gzip" }, true],
  ["RelayService/Connect", { "content-type": "application/grpc+proto", "grpc-encoding": "gzip" }, true],
  ["RelayService/Watch", { "content-type": "application/grpc-web+json", "grpc-encoding": "gzip" }, true],
];

export const bombs: readonly Attack[] = [
  {
    name: "a compressed bomb",
    about:
      "sends 194 kB that are 200 MB when they are unpacked, in each way in which the relay takes compressed messages",
    bare: "node:http2",
    amount: { short: 1, long: 10 },
    expected: "refused",
    bounds,
    async run(target, amount) {
      const packed = bomb();
      const session = connect(`http://127.0.0.1:${target.port}`);
      const answers = new Set<string>();
      for (let times = 0; times < amount; times += 1) {
        for (const [method, headers, isEnvelope] of calls) {
          answers.add(await post(session, method, headers, isEnvelope ? envelope(1, packed) : packed));
        }
      }
      session.close();
      return answers.has("200") ? { kind: "endured" } : { kind: "refused", answer: [...answers].join(", ") };
    },
  },
  {
    name: "an endless head",
    about: "sends the head of a request that never ends",
    bare: "node:http",
    amount: { short: 1_000, long: 10_000 },
    expected: "cut off",
    bounds,
    async run(target, amount) {
      const raw = (await RawConnection.open(target)).read();
      const piece = Buffer.from(`X: ${"x".repeat(100)}\r\n`.repeat(100));
      await raw.write(Buffer.from("GET / HTTP/1.1\r\nHost: relay\r\n"));
      return raw.flood(target, (number) => (number < amount ? piece : undefined));
    },
  },
  {
    name: "chunk extensions",
    about: "sends a chunk of a body whose extension never ends (CVE-2024-22019)",
    bare: "node:http",
    amount: { short: 1_000, long: 10_000 },
    expected: "cut off",
    bounds,
    async run(target, amount) {
      const raw = (await RawConnection.open(target)).read();
      const piece = Buffer.alloc(65_536, "x");
      const path = "/browser-server/streamserver.v1.RelayService/List";
      const head = `POST ${path} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n`;
      await raw.write(Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n1;`));
      return raw.flood(target, (number) => (number < amount ? piece : undefined));
    },
  },
];
