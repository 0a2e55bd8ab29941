import { toBinary } from "@bufbuild/protobuf";
import { channelWindowBytes } from "../../link/channel/channel-inbox.js";
import { initialCreditBytes } from "../../stream/endpoint/sender.js";
import { channelExample } from "./examples/channel-example.js";
import { creditExample } from "./examples/credit-example.js";
import { conversationExample, errorExamples } from "./examples/exchange-examples.js";
import { linkExamples } from "./examples/link-examples.js";
import { linkMessageExamples } from "./examples/link-message-examples.js";
import { lastFrames, openingExamples, streamFrames, type WireExample } from "./examples/stream-examples.js";
import { dumpLines, walkWire } from "./examples/wire-walk.js";
import { closeCodeTable } from "./tables/close-code-table.js";
import { failureRows } from "./tables/failure-table.js";
import { deadlineTable, sizeTable } from "./tables/limit-table.js";
import { fenced, grouped } from "./tables/markdown.js";
import { type ProtoProse, readProtoProse } from "./tables/proto-prose.js";
import { reference } from "./tables/reference.js";

/** A generated block. A block that begins on the line of its opening comment is part of a sentence. */
const block = /<!-- generated: ([\w-]+) -->(\n?).*?<!-- \/generated -->/gs;

/**
 * Resolves with the text of docs/protocol.md with its generated blocks made anew from the code and the proto files.
 * Rejects if the page lacks a block, or has one that this program does not write.
 */
export async function protocolPage(page: string): Promise<string> {
  return fillBlocks(page, await generatedBlocks(readProtoProse()));
}

/** The text of the page outside its generated blocks. */
export function handWritten(page: string): string {
  return page.replaceAll(block, "");
}

async function generatedBlocks(prose: ProtoProse): Promise<Record<string, string>> {
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

function fillBlocks(page: string, blocks: Record<string, string>): string {
  const missing = new Set(Object.keys(blocks));
  const filled = page.replaceAll(block, (_, name: string, newline: string) => {
    const content = blocks[name];
    if (content === undefined) throw new Error(`the page has an unknown block: ${name}`);
    missing.delete(name);
    const margin = newline.repeat(2);
    return `<!-- generated: ${name} -->${margin}${content}${margin}<!-- /generated -->`;
  });
  if (missing.size > 0) throw new Error(`the page has no block ${[...missing].join(", ")}`);
  return filled;
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
