import { readFileSync } from "node:fs";

/**
 * The value of a constant that its file keeps to itself, or of a parameter's default: a number, or a product of numbers
 * and such constants.
 */
export function sourceConstant(path: string, name: string): number {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const constantValue = (wanted: string): number => {
    const expression = text.match(new RegExp(`^(?:(?:export )?const| ) ${wanted} = ([\\w* ]+)[;,]$`, "m"))?.[1];
    if (expression === undefined) throw new Error(`${path} has no constant ${wanted} that is a number`);
    return expression.split("*").reduce((product, factor) => {
      const literal = Number(factor.trim().replaceAll("_", ""));
      return product * (Number.isNaN(literal) ? constantValue(factor.trim()) : literal);
    }, 1);
  };
  return constantValue(name);
}
