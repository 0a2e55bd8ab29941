import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readmeBlocks } from "../readme.js";

const page = readFileSync(new URL("../../docs/deploy.md", import.meta.url), "utf8");

/** The first block of docs/deploy.md in one language, with what a reader fills in put in its place. */
export function documented(language: string, substitutes: Record<string, string>): string {
  const [block] = readmeBlocks(language, page);
  if (block === undefined) throw new Error(`docs/deploy.md has no block in ${language}`);
  return substitute(block, substitutes);
}

/** Replaces what occurs, and throws for what does not: a test would go round it. */
export function substitute(text: string, substitutes: Record<string, string>): string {
  let result = text;
  for (const [from, to] of Object.entries(substitutes)) {
    if (!result.includes(from)) throw new Error(`there is no ${JSON.stringify(from)} in:\n${text}`);
    result = result.replaceAll(from, to);
  }
  return result;
}

/** A file of the self-signed certificate for 127.0.0.1. */
export function tlsFile(name: "cert" | "key"): string {
  return fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
}
