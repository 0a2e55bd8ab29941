import { Chromium, findChromium } from "./chromium.ts";
import { servePage } from "./page-server.ts";

/** Chromium, and the server of its pages. */
export interface Stage {
  origin: string;
  chromium: Chromium;
  close(): Promise<void>;
}

/** Rejects without Chromium. The caller must close the stage. */
export async function openStage(): Promise<Stage> {
  const program = findChromium();
  if (program === undefined) throw new Error("no Chromium: set CHROMIUM to its path");
  const chromium = await Chromium.launch(program);
  const { origin, server } = await servePage();
  return {
    origin,
    chromium,
    async close() {
      await chromium.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
