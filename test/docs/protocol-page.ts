import { toBinary } from "@bufbuild/protobuf";
import { channelWindowBytes } from "../../link/channel.js";
import { initialCreditBytes } from "../../stream/sender.js";
import { channelExample } from "./channel-example.js";
import { closeCodeTable } from "./close-code-table.js";
import { creditExample } from "./credit-example.js";
import { conversationExample, errorExamples } from "./exchange-examples.js";
import { failureRows } from "./failure-table.js";
import { deadlineTable, sizeTable } from "./limit-table.js";
import { linkExamples } from "./link-examples.js";
import { linkMessageExamples } from "./link-message-examples.js";
import { fenced, grouped } from "./markdown.js";
import type { ProtoProse } from "./proto-prose.js";
import { reference } from "./reference.js";
import { lastFrames, openingExamples, streamFrames, type WireExample } from "./stream-examples.js";
import { dumpLines, walkWire } from "./wire-walk.js";

/** One that begins on its opening comment's line is a part of a sentence. */
const block = /<!-- generated: ([\w-]+) -->(\n?).*?<!-- \/generated -->/gs;

/** The blocks of docs/protocol.md that are written by what the code and the proto files say, by name. */
export async function generatedBlocks(prose: ProtoProse): Promise<Record<string, string>> {
  return {
    "initial-credit": `${grouped(initialCreditBytes)} bytes`,
    credit: creditExample(),
    "channel-credit": `${grouped(channelWindowBytes)} bytes`,
    "close-codes": closeCodeTable(),
    failures: failureRows(prose),
    sizes: sizeTable(),
    deadlines: deadlineTable(),
    opening: dumps(openingExamples),
    frames: dumps([...Object.values(streamFrames), ...Object.values(lastFrames)]),
    packets: dumps(await linkExamples()),
    channel: await channelExample(),
    "link-messages": dumps(linkMessageExamples()),
    conversation: await conversationExample(),
    errors: await errorExamples(),
    reference: reference(prose),
  };
}

/** The page with its blocks written anew. Throws if it lacks one, or has one that nobody writes. */
export function fillBlocks(page: string, blocks: Record<string, string>): string {
  const missing = new Set(Object.keys(blocks));
  const filled = page.replaceAll(block, (_, name: string, newline: string) => {
    const content = blocks[name];
    if (content === undefined) throw new Error(`nobody writes the block ${name}`);
    missing.delete(name);
    const margin = newline.repeat(2);
    return `<!-- generated: ${name} -->${margin}${content}${margin}<!-- /generated -->`;
  });
  if (missing.size > 0) throw new Error(`the page has no block ${[...missing].join(", ")}`);
  return filled;
}

/** What people have written of the page. */
export function handWritten(page: string): string {
  return page.replaceAll(block, "");
}

function dumps(examples: readonly WireExample[]): string {
  return examples
    .map(({ title, schema, message }) => {
      const bytes = toBinary(schema, message);
      const dump = bytes.byteLength === 0 ? "(no bytes)" : dumpLines(walkWire(schema, bytes));
      return `${title}:\n\n${fenced(dump)}`;
    })
    .join("\n\n");
}
