import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { openTab } from "../../browser/browser.js";
import type { StartProgram } from "./agent.js";
import type { TabProgram } from "./tab-program.js";

declare const program: TabProgram;

const modulePath = fileURLToPath(new URL("../../.out/tab-program.js", import.meta.url));
/** The most bytes of input that one call into the page carries. */
const maxInputBytes = 262_144;

/**
 * Runs a program in a page of its own. The page stays until it is killed: a process that ends by itself sends what it
 * has to send first, and a page that is closed does not. Its browser context is its own too, and the connections with
 * it: a context has six to one origin.
 */
export function startTab(
  browser: Browser,
  origin: string,
  role: "listener" | "client",
  args: readonly string[],
): StartProgram {
  return async (events) => {
    const context = await browser.newContext();
    const { page, run } = await openTab(context, origin);
    // A call into a page that is gone fails, as writing to a process that is gone does.
    const ignoring = (call: Promise<unknown>) => void call.catch(() => {});
    page.once("close", () => {
      events.exit(null);
      ignoring(context.close());
    });
    await page.exposeFunction("programPrints", (output: "stdout" | "stderr", base64: string) =>
      events[output](Buffer.from(base64, "base64")),
    );
    await page.exposeFunction("programExits", events.exit);
    await run(await readFile(modulePath, "utf8"));
    await page.evaluate(([role, args]) => program.start(role, args), [role, args] as const);
    return {
      write(data) {
        const bytes = Buffer.from(data);
        for (let from = 0; from < bytes.byteLength; from += maxInputBytes) {
          const base64 = bytes.subarray(from, from + maxInputBytes).toString("base64");
          ignoring(page.evaluate((input) => program.input(input), base64));
        }
      },
      endInput: () => ignoring(page.evaluate(() => program.endInput())),
      interrupt: () => ignoring(page.evaluate(() => program.interrupt())),
      kill: () => ignoring(page.close()),
    };
  };
}
