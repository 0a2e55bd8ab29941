import { defaultLimits, type RelayLimits } from "../../server/admission/limits.js";
import { relayDeadlines } from "../protocol-page/tables/deadline-limits.js";
import { code, table } from "../protocol-page/tables/markdown.js";
import { relaySizes } from "../protocol-page/tables/relay-sizes.js";
import { limitReasons } from "./limit-reasons.js";

const names = Object.keys(limitReasons) as (keyof RelayLimits)[];
const isOfCaller = (name: string) => name.endsWith("PerCaller");
const isTime = (name: string) => name.endsWith("Ms");

const head = `<!-- Written by tools/limits-page, from the code. -->

# Limits

What a relay takes, each with its default and the reason for it. Another value is an entry of \`limits\`, an option of
\`StreamServerProxy\`, and an object in the configuration file of \`bss serve\`. The fixed sizes and deadlines of the protocol are
in [its tables](protocol.md#limits-and-deadlines).

Who meets a limit is told which: the error has \`FAILURE_LIMIT_REACHED\`, and in its \`FailureDetail\`, as in \`StreamError.limit\`, the
name of the limit, its value, and when to try again: for a rate when it allows so, and otherwise a guess of a second. The operator is
told as well, by the relay's event \`warning\` and by the log of \`bss serve\`, once a minute for each limit. Whose name, metadata or
frame is too large is told the limit and its value as well, with \`FAILURE_NAME_INVALID\` or \`FAILURE_FRAME_TOO_LARGE\`, and that it is of
no use to try again.`;

const caller = `## Of one caller

A caller is the identity that the relay's policy has verified ([\`subject\`](access.md)), or else an address; of an IPv6 address the first 64
bits count, which is what one customer gets. A link is of its address. Behind a proxy, [tell the relay to believe it](deploy.md#behind-a-proxy).
Callers on the relay's own machine are counted only where the policy has verified who they are, or where a trusted proxy brings them. A call that the policy refuses counts for its address, apart from those that are let in, and an address
that has too many is not asked about any more, but for tokens that were good before, which have a rate each. What comes back after the relay was started again counts for nobody.`;

/** The text of docs/limits.md. */
export function limitsPage(): string {
  return [
    head,
    "## Of all callers together",
    tableOf(names.filter((name) => !isOfCaller(name) && !isTime(name))),
    caller,
    tableOf(names.filter(isOfCaller)),
    "## Times",
    tableOf(names.filter(isTime)),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

function tableOf(rows: readonly (keyof RelayLimits)[]): string {
  return table(
    ["limit", "what", "default", "why"],
    rows.map((name) => {
      const row = (relaySizes[name] ?? relayDeadlines[name])?.(defaultLimits[name]);
      if (row === undefined) throw new Error(`${name} has no row in tools/protocol-page/tables`);
      return [code(name), row.what, row.value, limitReasons[name]];
    }),
  );
}
