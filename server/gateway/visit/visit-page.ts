import { createHash } from "node:crypto";
import { visibleText } from "../../../web/operator/visible-text.js";
import type { NodeResponse } from "../../http/node-server.js";

const style = `
:root { color-scheme: light dark; font: 1rem/1.55 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; box-sizing: border-box; padding: 1.5rem;
  background: light-dark(#f4f5f7, #14161a); color: light-dark(#1b1f24, #e6e8eb); }
main { box-sizing: border-box; width: 100%; max-width: 34rem; padding: 2rem; border-radius: .75rem;
  background: light-dark(#fff, #1e2127); border: 1px solid light-dark(#d8dce2, #343941); }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 1rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; }
bdi, code { overflow-wrap: anywhere; }
code { font: .9375rem/1.5 ui-monospace, monospace; display: block; padding: .5rem .75rem; margin: 0 0 1rem;
  border-radius: .375rem;
  background: light-dark(#eef0f3, #2a2e35); }
button { font: inherit; font-weight: 600; padding: .625rem 1.5rem; border: 0; border-radius: .375rem; cursor: pointer;
  background: light-dark(#1a56c4, #8ab4f8); color: light-dark(#fff, #10213f); }
button:hover { background: light-dark(#16479f, #a6c5fa); }
button:focus-visible { outline: 3px solid light-dark(#1b1f24, #fff); outline-offset: 2px; }
form { margin: 1.5rem 0 0; }
.note { margin: 1rem 0 0; font-size: .875rem; color: light-dark(#57606a, #a3abb6); }
`;
const styleHash = createHash("sha256").update(style).digest("base64");

const headers: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  // A page in a frame has buttons that are pressed by mistake.
  "content-security-policy":
    `default-src 'none'; img-src data:; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; ` +
    "frame-ancestors 'none'",
  // A code in the path is for nobody else. Without any referrer a form would have no origin either.
  "referrer-policy": "strict-origin",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
};

/** A name and where it is, as a page tells them. */
export interface ShownName {
  name: string;
  /** The host of the relay, or of the name. */
  host: string;
  /** The whole URL, in ASCII, which tells letters apart that look the same. */
  url: string;
}

/**
 * Answers with the page of a link, whose button opens it: a program that looks at a link for its preview presses none.
 */
export function showLinkPage(response: NodeResponse, shown: ShownName, action: string): void {
  show(response, 200, `A link to ${titleOf(shown)}`, [
    `<h1>You have a link to ${nameOf(shown)}</h1>`,
    ...whereabouts(shown),
    button(action, "Open"),
    '<p class="note">The link works once. It lets this browser in for a day at most.</p>',
  ]);
}

/** Answers with the page for a link that opens nothing. */
export function showUsedLinkPage(response: NodeResponse, shown: ShownName): void {
  show(response, 410, "The link is used up", [
    `<h1>This link to ${nameOf(shown)} is used up</h1>`,
    "<p>It was opened already, or is older than ten minutes, or was taken back.</p>",
    "<p>Ask whoever gave it to you for another one.</p>",
  ]);
}

/** Answers with the page before the first visit, which says where one goes. */
export function showFirstPage(response: NodeResponse, shown: ShownName, action: string): void {
  show(response, 200, `You are about to visit ${titleOf(shown)}`, [
    `<h1>You are about to visit ${nameOf(shown)}</h1>`,
    ...whereabouts(shown),
    button(action, "Continue"),
    '<p class="note">For a day you are not asked again.</p>',
  ]);
}

function whereabouts(shown: ShownName): string[] {
  const host = `<bdi>${escaped(visibleText(shown.host))}</bdi>`;
  return [
    `<code>${escaped(shown.url)}</code>`,
    `<p>What you find there comes from somebody’s own program, only passed on by ${host}. ` +
      "Nobody has looked at it, and it may be a stranger’s.</p>",
    "<p>Do not enter a password or anything private unless you know whose it is.</p>",
  ];
}

/** A form needs no script. */
function button(action: string, label: string): string {
  return `<form method="post" action="${escaped(action)}"><button type="submit">${label}</button></form>`;
}

function nameOf({ name }: ShownName): string {
  return `“<bdi>${escaped(visibleText(name))}</bdi>”`;
}

/** A title has no markup that keeps a name apart from the rest, so its directions are isolated by characters. */
function titleOf({ name }: ShownName): string {
  return `\u2068${escaped(visibleText(name))}\u2069`;
}

function show(response: NodeResponse, status: number, title: string, body: readonly string[]): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<body>
<main>
${body.join("\n")}
</main>
`);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
