import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure, StreamClient } from "browser-stream-server";
import { Feature, type Offer, type Registered, RelayService } from "browser-stream-server/gen";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { newTokenKey } from "../../../server/relay/token-keys.js";
import { refusal, refused } from "../../integration/raw-calls.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { CommandLine } from "../command-line.js";

let folder: string;
let keyFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bss-"));
  keyFile = join(folder, "relay.keys");
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

const addressOf = async ({ child }: CommandLine) => String((await once(child.stdout.setEncoding("utf8"), "data"))[0]);

async function start(path: string): Promise<RelayProcess> {
  const relay = await startRelay("--host", "127.0.0.1", "--key-file", path);
  onTestFinished(async () => {
    if (relay.child.exitCode === null && relay.child.signalCode === null) await relay.stop();
  });
  return relay;
}

function clientOf({ origin }: RelayProcess): Client<typeof RelayService> {
  return createClient(
    RelayService,
    createConnectTransport({ baseUrl: `${origin}/browser-server`, httpVersion: "1.1", nodeOptions: { agent: false } }),
  );
}

interface Held {
  registered: Registered;
  offer: Offer;
}

/** Claims a name and has a client offered to it. Resolves with the tokens of both, which the relay now holds. */
async function holdTokens(relay: RelayProcess): Promise<Held> {
  const events = clientOf(relay).listen({ name: "room" })[Symbol.asyncIterator]();
  const next = async () => (await events.next()).value?.event;
  const registered = await next();
  const stream = StreamClient(relay.origin)
    .connect("room")
    .on("error", () => {});
  const offer = await next();
  void stream.closed.catch(() => {});
  onTestFinished(() => void stream.destroy());
  void events.next().catch(() => {});
  if (registered?.case !== "registered" || offer?.case !== "offer") throw new Error("the relay offered nothing");
  return { registered: registered.value, offer: offer.value };
}

/** Resolves with what a relay says to the tokens of a lease and of an offer that another relay has signed. */
async function answers(relay: RelayProcess, { registered, offer }: Held) {
  const client = clientOf(relay);
  const { leaseId, leaseToken } = registered;
  const { streamId, legToken } = offer;
  const capabilities = { features: [Feature.CREDIT, Feature.ACK, Feature.RESUME] };
  // The reset is kept for the client, which may come back to this relay.
  const reset = async () => {
    await client.reject({ streamId, legToken, code: Code.Unavailable });
    return "reset";
  };
  const answer = (call: Promise<string>) => call.catch((reason) => refused(Promise.reject(reason)));
  const listening = client.listen({ name: "room", leaseId, leaseToken, generation: 1, capabilities });
  const events = listening[Symbol.asyncIterator]();
  const takeUp = async () => {
    const { event } = (await events.next()).value ?? {};
    if (event?.case !== "registered") throw new Error("the relay said something else");
    return event.value.leaseToken;
  };
  const taken = await takeUp().catch((reason) => refused(Promise.reject(reason)));
  // An offer is its lease's to decide, so the lease is held meanwhile.
  const resetAnswer = await answer(reset());
  if (typeof taken !== "string") return [taken, resetAnswer];
  void events.next().catch(() => {});
  await client.unlisten({ leaseId, leaseToken: taken });
  return ["taken up", resetAnswer];
}

const verified = ["taken up", "reset"];
const unknown = [
  refusal(Code.PermissionDenied, Failure.TOKEN_INVALID),
  refusal(Code.PermissionDenied, Failure.TOKEN_INVALID),
];

describe("bss serve --key-file", () => {
  test("verifies tokens of a relay that was killed, with the same key and after a rotation, and with no other", async () => {
    const killed = await start(keyFile);
    const held = await holdTokens(killed);
    killed.child.kill("SIGKILL");
    await once(killed.child, "exit");
    const again = await start(keyFile);
    expect(await answers(again, held)).toEqual(verified);
    await again.stop();
    const oldKeys = readFileSync(keyFile, "utf8");
    writeFileSync(keyFile, `${newTokenKey()}\n${oldKeys}`);
    const rotated = await start(keyFile);
    expect(await answers(rotated, held)).toEqual(verified);
    const heldSince = await holdTokens(rotated);
    await rotated.stop();
    writeFileSync(keyFile, oldKeys);
    const withOldKeys = await start(keyFile);
    expect(await answers(withOldKeys, heldSince)).toEqual(unknown);
    await withOldKeys.stop();
    const stranger = await start(`${keyFile}.other`);
    expect(await answers(stranger, held)).toEqual(unknown);
  });

  test("makes a file that only its owner reads, with a key of its own, says so, and never writes over one", async () => {
    // The relay that finds the file leaves it as it is, and neither leaves a draft behind.
    const contents: string[] = [];
    for (const made of [true, false]) {
      const relay = new CommandLine(["serve", "--port", "0", "--json"], { BSS_KEY_FILE: keyFile });
      let log = await addressOf(relay);
      relay.child.stdout.on("data", (text) => {
        log += text;
      });
      relay.child.kill("SIGTERM");
      expect(await relay.exitCode).toBe(0);
      const events = log
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const created = events.filter(({ event }) => event === "key.created");
      expect(created).toEqual(made ? [expect.objectContaining({ file: keyFile })] : []);
      expect(statSync(keyFile).mode & 0o777).toBe(0o600);
      contents.push(readFileSync(keyFile, "utf8"));
      expect(log).not.toContain(contents[0]?.split("\n")[1]);
    }
    expect(contents[1]).toBe(contents[0]);
    expect(readdirSync(folder)).toEqual(["relay.keys"]);
  });

  test("two relays that start at once without the file have the same key", async () => {
    const [one, other] = await Promise.all([start(keyFile), start(keyFile)]);
    expect(await answers(other, await holdTokens(one))).toEqual(verified);
  });

  const key = newTokenKey();
  test.each([
    ["a file that its group may read", `${key}\n`, 0o640],
    ["a file that anybody may read", `${key}\n`, 0o604],
    ["a file that anybody may write", `${key}\n`, 0o602],
    ["a file that is empty", "", 0o600],
    ["a file of comments", "# no key\n\n", 0o600],
    ["a key that is too short", `${key}\n${key.slice(0, 40)}\n`, 0o600],
    ["a line that is no key", `${key}\nnot a key\n`, 0o600],
  ])("refuses %s in one line that repeats no key: exit code 2", async (_, content, mode) => {
    writeFileSync(keyFile, content);
    chmodSync(keyFile, mode);
    const { code, output, errorLines } = await new CommandLine(["serve", "--port", "0", "--key-file", keyFile]).run();
    expect({ code, output, errorLines }).toEqual({
      code: 2,
      output: "",
      errorLines: [expect.stringContaining(keyFile)],
    });
    expect(errorLines[0]).not.toContain(key.slice(0, 40));
    expect(readFileSync(keyFile, "utf8")).toBe(content);
  });

  test("refuses a folder, and a file in a folder that is not there: exit code 2", async () => {
    for (const path of [folder, join(folder, "nowhere", "relay.keys")]) {
      const ended = await new CommandLine(["serve", "--port", "0", "--key-file", path]).run();
      expect(ended).toMatchObject({ code: 2, output: "", errorLines: [expect.stringContaining(path)] });
    }
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
  });
});
