// An agent of few words. It reads the list of the tab, and adds to it: node agent.js URL "milk"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [, , url, ...texts] = process.argv;
const client = new Client({ name: "agent.js", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
for (const text of texts) await client.callTool({ name: "add_item", arguments: { text } });
const { content } = await client.callTool({ name: "read_list" });
console.log(content[0].text);
await client.close();
