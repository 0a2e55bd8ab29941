import type { Attack, Bounds, Outcome, Target } from "../attack.ts";
import { mebibyte } from "../attack.ts";
import { ackFlag, endHeaders, firstHead, frame, nextHead, preface, uint32 } from "../wire/http2-frames.ts";
import { RawConnection } from "../wire/raw-connection.ts";

const none = new Uint8Array();
const listPath = "/streamserver.v1.RelayService/List";
const dripMs = 250;

const bounds: Bounds = { cutOffMs: 30_000, peakBytes: 64 * mebibyte, roundTripMs: 250, turnMs: 250 };
const base = { bounds, expected: "cut off" } as const;

/** Opens connections, sends `first` on each, and then `drip` on each that is still open, until none is. */
async function dripOnAll(
  target: Target,
  amount: number,
  first: Uint8Array,
  drip: Uint8Array | undefined,
  protocol?: string,
): Promise<Outcome> {
  const startedMs = performance.now();
  const all: RawConnection[] = [];
  const batch = 250;
  for (let opened = 0; opened < amount; opened += batch) {
    const some = Array.from({ length: Math.min(batch, amount - opened) }, () => RawConnection.open(target, protocol));
    all.push(...(await Promise.all(some)).map((raw) => raw.read()));
  }
  for (const raw of all) raw.socket.write(first);
  const isOver = () => all.every((raw) => raw.isClosed);
  while (!isOver() && performance.now() - startedMs < target.giveUpMs) {
    await new Promise((resolve) => setTimeout(resolve, dripMs));
    if (drip !== undefined) for (const raw of all) if (!raw.isClosed) raw.socket.write(drip);
  }
  const outcome: Outcome = isOver() ? { kind: "cut off", afterMs: performance.now() - startedMs } : { kind: "endured" };
  for (const raw of all) raw.socket.destroy();
  return outcome;
}

const http1Head = `POST /browser-server${listPath} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n`;
const settings = Buffer.concat([preface, frame("settings", 0, 0, none), frame("settings", 0, ackFlag, none)]);

const slowHeads: Attack = {
  ...base,
  name: "slow heads",
  about: "sends the heads of requests, one byte at a time",
  bare: "node:http",
  amount: { short: 1_000, long: 1_000 },
  run: (target, amount) => dripOnAll(target, amount, Buffer.from(`${http1Head}X: `), Buffer.from("x")),
};

/** Attacks on a port with TLS. */
export const slowSecureCallers: readonly Attack[] = [
  {
    ...base,
    name: "mute connections to a port with TLS",
    about: "opens connections to a port with TLS, and begins no handshake",
    bare: undefined,
    // A connection that waits for its handshake takes 16 KiB.
    bounds: { ...bounds, peakBytes: 192 * mebibyte },
    amount: { short: 1_000, long: 10_000 },
    run: (target, amount) => dripOnAll({ ...target, isSecure: false }, amount, none, undefined),
  },
  { ...slowHeads, name: "slow heads over TLS", bare: undefined, amount: { short: 100, long: 1_000 } },
];

export const slowCallers: readonly Attack[] = [
  {
    ...base,
    name: "mute connections",
    about: "opens connections and says nothing on any",
    bare: "node:http",
    amount: { short: 2_000, long: 10_000 },
    run: (target, amount) => dripOnAll(target, amount, none, undefined),
  },
  slowHeads,
  {
    ...base,
    name: "slow bodies",
    about: "sends the bodies of requests, one byte at a time",
    bare: "node:http",
    amount: { short: 1_000, long: 1_000 },
    run: (target, amount) =>
      dripOnAll(target, amount, Buffer.from(`${http1Head}Content-Length: 1000\r\n\r\n`), Buffer.from(" ")),
  },
  {
    ...base,
    name: "slow bodies of answered requests",
    about: "sends the bodies of requests that have been answered already, one byte at a time",
    bare: "node:http",
    amount: { short: 500, long: 1_000 },
    run: (target, amount) => {
      const head = "POST /healthz HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\n";
      return dripOnAll(target, amount, Buffer.from(head), Buffer.from(" "));
    },
  },
  {
    ...base,
    name: "mute connections of HTTP/2",
    about: "opens connections of HTTP/2, and never a call",
    bare: "node:http2",
    amount: { short: 500, long: 1_000 },
    run: (target, amount) => dripOnAll(target, amount, settings, frame("ping", 0, 0, Buffer.alloc(8))),
  },
  {
    ...base,
    name: "slow heads of HTTP/2",
    about: "begins a head and continues it one byte at a time",
    bare: "node:http2",
    amount: { short: 500, long: 1_000 },
    run: (target, amount) => {
      const begun = frame("headers", 1, 0, firstHead(listPath, "application/json"));
      const rest = frame("continuation", 1, 0, Buffer.alloc(1_000)).subarray(0, 9);
      return dripOnAll(target, amount, Buffer.concat([settings, begun, rest]), Buffer.from([0]));
    },
  },
  {
    ...base,
    name: "slow bodies of HTTP/2",
    about: "opens calls on one connection of HTTP/2, and sends their bodies one byte at a time",
    bare: "node:http2",
    amount: { short: 900, long: 900 },
    expected: "refused",
    async run(target, amount) {
      const raw = (await RawConnection.open(target)).read();
      const heads = Array.from({ length: amount }, (_, at) =>
        frame("headers", 2 * at + 1, endHeaders, at === 0 ? firstHead(listPath, "application/json") : nextHead),
      );
      const drip = Buffer.concat(
        Array.from({ length: amount }, (_, at) => frame("data", 2 * at + 1, 0, Buffer.from(" "))),
      );
      const startedMs = performance.now();
      let ended = 0;
      let rest = Buffer.alloc(0);
      raw.socket.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (let length = 0; rest.byteLength >= 9; rest = rest.subarray(9 + length)) {
          length = rest.readUIntBE(0, 3);
          if (rest.byteLength < 9 + length) break;
          const [type, flags] = [rest[3], rest[4] ?? 0];
          if (type === 3 || ((type === 0 || type === 1) && (flags & 1) === 1)) ended += 1;
        }
      });
      await raw.write(Buffer.concat([settings, frame("windowUpdate", 0, 0, uint32(1_000_000)), ...heads]));
      while (ended < amount && !raw.isClosed && performance.now() - startedMs < target.giveUpMs) {
        await new Promise((resolve) => setTimeout(resolve, dripMs));
        await raw.write(drip);
      }
      const isOver = ended >= amount;
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      raw.socket.destroy();
      return isOver ? { kind: "refused", answer: `each call ended within ${seconds} s` } : { kind: "endured" };
    },
  },
];
