import { run } from "./command.ts";
import { failed, type Outcome, passed } from "./step.ts";

/** A registry that does not answer must not hold up the gate for npm's own five minutes. */
const timeoutMs = 60_000;

/** The part of `npm audit --json` that is read here. A registry that does not answer leaves out the vulnerabilities. */
interface AuditReport {
  message?: string;
  vulnerabilities?: Record<
    string,
    { severity: string; range: string; via: (string | { title: string; url: string })[] }
  >;
}

/**
 * Fails for a dependency that users install and that npm's registry knows a vulnerability of. One of a tool of this
 * repository is named in a note. Where the registry cannot be asked, as without a network, the step passes and the note
 * says that nothing was checked: the gate works offline, and a service that is down does not redden it.
 */
export async function checkAudit(): Promise<Outcome> {
  return auditOutcome(await audit("--omit=dev"), await audit());
}

export function auditOutcome(ofUsers: AuditReport, ofAll: AuditReport): Outcome {
  if (ofUsers.vulnerabilities === undefined || ofAll.vulnerabilities === undefined) {
    return passed(`not checked, for npm's registry gave no answer: ${ofUsers.message ?? ofAll.message}`);
  }
  const found = wordsFor(ofUsers);
  if (found.length > 0) return failed(found.join("\n"));
  const tools = wordsFor(ofAll);
  return tools.length === 0 ? passed() : passed(`in tools of this repository: ${tools.join("; ")}`);
}

async function audit(...args: string[]): Promise<AuditReport> {
  const { output } = await run("npm", ["audit", "--json", "--loglevel=silent", ...args], { timeoutMs });
  try {
    return JSON.parse(output) as AuditReport;
  } catch {
    return { message: output.trim().slice(0, 500) };
  }
}

function wordsFor({ vulnerabilities = {} }: AuditReport): string[] {
  return Object.entries(vulnerabilities).map(([name, { severity, range, via }]) => {
    const reasons = via.map((cause) => (typeof cause === "string" ? `by ${cause}` : `${cause.title} ${cause.url}`));
    return `${name} ${range} (${severity}): ${reasons.join(", ")}`;
  });
}
