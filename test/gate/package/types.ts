import { expectSuccess, run } from "../command.ts";
import { failed, type Outcome, passed } from "../step.ts";

/** gen/, stream/, leg/, link/, web/ and http/ compile, and no Node type is within their reach. */
export async function checkPortableTypes(): Promise<Outcome> {
  const { code, output } = await run("tsc", ["-p", "tsconfig.portable.json", "--listFiles"]);
  const lines = output.split("\n");
  const isFileName = (line: string) => /^([A-Za-z]:)?\/.*\.[cm]?ts$/.test(line);
  if (code !== 0) return failed(lines.filter((line) => !isFileName(line)).join("\n"));
  const nodeTypes = lines.find((line) => line.includes("/@types/node/index.d.ts"));
  if (nodeTypes === undefined) return passed();
  const { output: reasons } = await run("tsc", ["-p", "tsconfig.portable.json", "--explainFiles"]);
  const [, reason = ""] = /^\S.*@types\/node\/index\.d\.ts\n((?: .*\n)+)/m.exec(reasons) ?? [];
  return failed(`Node's types are within reach of the portable folders: ${nodeTypes}\n${reason}`);
}

/** The relay, the Node flavour of the entry and the tests compile. */
export const checkNodeTypes = () => expectSuccess("tsc", ["-p", "tsconfig.json"]);

/** The examples compile as a bundler for browsers resolves them. */
export const checkPageTypes = () => expectSuccess("tsc", ["-p", "tsconfig.page.json"]);
