import { endVectors } from "./end-vectors.js";
import { legVectors } from "./leg-vectors.js";
import { refusalVectors } from "./refusal-vectors.js";
import type { ResumeVector } from "./resume-vector.js";

/** The cases of the page's chapter on resuming. */
export const resumeVectors: readonly ResumeVector[] = [...legVectors, ...endVectors, ...refusalVectors];

/** The text of docs/resume-vectors.json. Each step has a line of its own. */
export function resumeVectorsFile(): string {
  const vectors = resumeVectors.map(({ steps, ...head }) => {
    const lines = steps.map((step) => `      ${JSON.stringify(step)}`).join(",\n");
    const entries = Object.entries(head).map(
      ([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`,
    );
    return `  {\n${entries.join("")}    "steps": [\n${lines}\n    ]\n  }`;
  });
  return `[\n${vectors.join(",\n")}\n]\n`;
}
