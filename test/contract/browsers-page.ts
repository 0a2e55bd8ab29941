import { table } from "../interop/matrix/matrix.js";
import type { ContractCase } from "./contract-case.js";
import type { Role } from "./party.js";

/** An engine, as the page names it. */
export interface EngineColumn {
  name: string;
  version: string;
}

/** A way that the tabs of every engine play the contract over. */
export interface WayRow {
  link: string;
  http: string;
}

const does: Record<Role, string> = { listener: "listens", client: "connects" };

/** The outcomes of the contract's cases: for each engine and way, and for each pair of engines. */
export class BrowserOutcomes {
  readonly #engines: readonly string[];
  readonly #rows: readonly WayRow[];
  readonly #cases: readonly ContractCase[];
  readonly #passed = new Map<string, boolean>();

  constructor(engines: readonly string[], rows: readonly WayRow[], cases: readonly ContractCase[]) {
    this.#engines = engines;
    this.#rows = rows;
    this.#cases = cases;
  }

  /** Records the outcome of a case between a tab and a program in Node. */
  recordWay(engine: string, row: WayRow, role: Role, { name }: ContractCase, passed: boolean): void {
    this.#passed.set(wayKey(engine, row, role, name), passed);
  }

  /** Records the outcome of a case between tabs of two engines. */
  recordPair(listener: string, client: string, { name }: ContractCase, passed: boolean): void {
    this.#passed.set(pairKey(listener, client, name), passed);
  }

  /** Whether everything was played. */
  get complete(): boolean {
    const count = this.#engines.length;
    return this.#passed.size === (count * this.#rows.length * 2 + count * (count - 1)) * this.#cases.length;
  }

  /** The text of docs/browsers.md: the same for the same results. */
  page(engines: readonly EngineColumn[]): string {
    const heads = engines.map(({ name, version }) => `${name} ${version.split(".", 2).join(".")}`);
    const wayRows = this.#rows.flatMap((row) =>
      (["listener", "client"] as const).map((role) => [
        row.link,
        row.http,
        does[role],
        ...this.#engines.map((engine) => this.#cell((name) => wayKey(engine, row, role, name))),
      ]),
    );
    const pairRows = this.#engines.map((listener, at) => [
      `**${heads[at]}**`,
      ...this.#engines.map((client) =>
        client === listener ? "" : this.#cell((name) => pairKey(listener, client, name)),
      ),
    ]);
    return `# Browsers

What a stream promises is written once, as a contract of ${this.#cases.length} cases with two parties, and played over every way there is.
A cell says how many cases passed, and the numbers of those that did not.

A tab with a program in Node, over HTTP and HTTPS:

${table(["link", "HTTP", "the tab", ...heads], wayRows)}

A tab with a tab of another engine, each over what the URL of the relay gives it, which is a WebSocket:

${table(["listens ↓ connects →", ...heads], pairRows)}

The cases:

${this.#cases.map(({ name }, index) => `${index + 1}. ${name}`).join("\n")}

The same cases run in Node, over Connect, gRPC and gRPC-Web on HTTP/2, over every link, and in the relay's own process.

## How to run it

\`\`\`sh
npm ci && npm test -- build browser
\`\`\`

The contract is in \`test/contract\`; the test in \`test/browser\` writes this page: change that, not this. The versions are those
of Debian's packages. WebKit is WebKitGTK.
`;
  }

  #cell(keyOf: (caseName: string) => string): string {
    const results = this.#cases.map(({ name }) => this.#passed.get(keyOf(name)));
    const passed = results.filter((result) => result === true).length;
    const failed = results.flatMap((result, index) => (result === true ? [] : [index + 1]));
    return `${passed} of ${results.length}${failed.length > 0 ? `, not ${failed.join(", ")}` : ""}`;
  }
}

const wayKey = (engine: string, { link, http }: WayRow, role: Role, name: string) =>
  [engine, link, http, role, name].join("/");
const pairKey = (listener: string, client: string, name: string) => [listener, client, name].join("/");
