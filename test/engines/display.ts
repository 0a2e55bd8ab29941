import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { findXvfb } from "../setup/webkit.js";
import { startGroup } from "./process-group.js";
import { within } from "./within.js";

const startTimeoutMs = 20_000;

/** An X display in memory. */
export interface Display {
  /** The value for DISPLAY. */
  name: string;
  close(): Promise<void>;
}

export async function openDisplay(): Promise<Display> {
  const program = findXvfb();
  if (program === undefined) throw new Error("no Xvfb: apt-get install xvfb");
  // It takes a number that is free, and says on this descriptor which.
  const args = ["-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp"];
  const xvfb = await startGroup(program, args, { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  const pipe = xvfb.child.stdio[3] as Readable;
  // It ends if it can't write the line whole.
  const lines = createInterface({ input: pipe });
  try {
    const [number] = await within(startTimeoutMs, program, xvfb.whileItRuns(once(lines, "line")));
    return { name: `:${number}`, close: () => xvfb.end() };
  } catch (error) {
    await xvfb.end();
    throw error;
  } finally {
    lines.close();
    pipe.destroy();
  }
}
