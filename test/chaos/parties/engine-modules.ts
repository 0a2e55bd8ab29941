import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import type { Engine } from "../../engines/engine.ts";

/**
 * Loads the engines, whose files import each other by the names that a compiler gives to them, and builds the package
 * for their pages.
 */
export async function loadEngines(): Promise<Engine[]> {
  registerHooks({
    resolve(specifier, context, next) {
      const source = specifier.replace(/\.js$/, ".ts");
      const isSource = specifier.startsWith(".") && context.parentURL?.endsWith(".ts");
      if (!isSource || !existsSync(fileURLToPath(new URL(source, context.parentURL)))) return next(specifier, context);
      return next(source, context);
    },
  });
  const { default: bundle } = await import("../../setup/bundle.ts");
  await bundle();
  const { engines } = await import("../../engines/engines.ts");
  return engines;
}
