import type { Kind } from "../agents/kinds.js";
import type { Check } from "./checks.js";
import { type Matrix, table } from "./matrix.js";

/** The text of docs/interop.md: the same for the same results. */
export function interopPage(matrix: Matrix, kinds: readonly Kind[], checks: readonly Check[]): string {
  return `# Interoperation

An echo listener and a client in ${kinds.length} kinds, each with each, over one relay. A cell says how many of the
checks below passed, and the numbers of those that did not.

${matrix}

The kinds:

${table(
  ["kind", "what it is"],
  kinds.map(({ name, description }) => [name, description]),
)}

The checks:

${checks.map(({ title, description }, index) => `${index + 1}. **${title}**: ${description}`).join("\n")}

Python, Go and grpc-js also have a listener and a client each that [resume](protocol.md#resuming). They are not in the matrix: their
tests cut the connections of both in the middle of a transfer, and kill the relay and start it again, with each other and with the package.

## How to run it

\`\`\`sh
npm ci && npm test -- build interop
\`\`\`

The test in \`test/interop\` writes this page: change that, not this. What it needs beside Node (Chromium, Python, Go) is installed
first where that is possible. Where it is not, the pairs that need it are not run, and this page stays as it is.
`;
}
