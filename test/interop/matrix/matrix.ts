import type { Kind } from "../agents/kinds.js";
import type { Check } from "./checks.js";

/** The outcomes of the checks, for each pair of a listener and a client. */
export class Matrix {
  readonly #kinds: readonly Kind[];
  readonly #checks: readonly Check[];
  readonly #results = new Map<string, boolean>();

  constructor(kinds: readonly Kind[], checks: readonly Check[]) {
    this.#kinds = kinds;
    this.#checks = checks;
  }

  record(listener: Kind, client: Kind, check: Check, passed: boolean): void {
    this.#results.set(key(listener, client, check), passed);
  }

  /** Whether every check of every pair was run. */
  get complete(): boolean {
    return this.#results.size === this.#kinds.length ** 2 * this.#checks.length;
  }

  /** Listeners in rows, clients in columns. */
  toString(): string {
    const rows = this.#kinds.map((listener) => [
      `**${listener.name}**`,
      ...this.#kinds.map((client) => this.#cell(listener, client)),
    ]);
    return table(["listens ↓ connects →", ...this.#kinds.map(({ name }) => name)], rows);
  }

  #cell(listener: Kind, client: Kind): string {
    const results = this.#checks.map((check) => this.#results.get(key(listener, client, check)));
    if (results.every((result) => result === undefined)) return "not run";
    const passed = results.filter((result) => result === true).length;
    const failed = results.flatMap((result, index) => (result === false ? [index + 1] : []));
    return `${passed} of ${results.length}${failed.length > 0 ? `, not ${failed.join(", ")}` : ""}`;
  }
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const key = (listener: Kind, client: Kind, check: Check) => [listener.name, client.name, check.title].join("/");
