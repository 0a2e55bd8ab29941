import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createFetch } from "browser-stream-server/http";
import { expect, onTestFinished, test } from "vitest";
import { readmeBlocks } from "../../readme.js";
import { openRelay } from "../relay-ports.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

interface Ending {
  ready?: Promise<void>;
  end?(): Promise<void>;
  close?(): Promise<void>;
}

test("the samples of docs/agents.md do what it says, in Node as well", async () => {
  const samples = readmeBlocks("js", await readFile(path("../../../docs/agents.md"), "utf8"));
  expect(samples).toHaveLength(3);
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const folder = await mkdtemp(path("../../guide-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const given = `const relayUrl = ${JSON.stringify(relay.origin)};\nconst document = { title: "A title" };\n`;
  /** Runs a sample, and resolves with what it makes in the statement that begins so. */
  const run = async (beginning: string) => {
    const sample = samples.find((text) => text.includes(`\n${beginning}`)) ?? "";
    const statement = beginning.replace("const client = ", "");
    const program = sample.replace(`\n${beginning}`, `\nexport const made = ${statement}`);
    const file = join(folder, `${samples.indexOf(sample)}.js`);
    await writeFile(file, given + program.replaceAll("await client", "await made"));
    const { made } = (await import(file)) as { made: Ending };
    onTestFinished(async () => void (await (made.end ?? made.close)?.call(made)));
    await made.ready;
    return made;
  };
  const title = { content: [{ type: "text", text: "A title" }] };

  await run("serve(");
  const fetch = createFetch(relay.origin, "tab");
  onTestFinished(() => fetch.close());
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }));
  expect(await client.callTool({ name: "title" })).toEqual(title);
  await client.close();

  await run("StreamServer(");
  const agent = (await run("const client = ")) as Client;
  expect(await agent.callTool({ name: "title" })).toEqual(title);
});
