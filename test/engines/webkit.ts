import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findMiniBrowser } from "../setup/webkit.js";
import { blankTab, type Page } from "./blank-tab.js";
import { openDisplay } from "./display.js";
import type { Engine, EngineTab } from "./engine.js";
import { openSession, type WebDriverSession } from "./web-driver-session.js";

const versionTimeoutMs = 20_000;
const scriptTimeoutMs = 90_000;
const twoFrames = "requestAnimationFrame(() => requestAnimationFrame(arguments[arguments.length - 1]))";

function page(session: WebDriverSession): Page {
  return {
    async evaluateText(expression) {
      const script = `const done = arguments[arguments.length - 1]; ${expression}.then(done);`;
      return (await session.call("POST", "/execute/async", { script, args: [] })) as string;
    },
    goto: async (url) => void (await session.call("POST", "/url", { url })),
    goBack: async () => void (await session.call("POST", "/back", {})),
    async screenshot() {
      // It shows the frame that was painted last.
      await session.call("POST", "/execute/async", { script: twoFrames, args: [] });
      return Buffer.from((await session.call("GET", "/screenshot")) as string, "base64");
    },
    close: () => session.close(),
  };
}

export const webkit: Engine = {
  name: "WebKit",
  async launch() {
    const binary = findMiniBrowser();
    if (binary === undefined) throw new Error("no MiniBrowser: apt-get install webkit2gtk-driver");
    const display = await openDisplay();
    const sessions = new Set<WebDriverSession>();

    /** Opens each tab in a browser of its own, because the windows of one session have to take turns. */
    async function openTab(origin: string): Promise<EngineTab> {
      const session = await openSession(display.name, {
        acceptInsecureCerts: true,
        timeouts: { script: scriptTimeoutMs },
        "webkitgtk:browserOptions": { binary, args: ["--automation"] },
      });
      sessions.add(session);
      return blankTab(page(session), origin);
    }

    async function close(): Promise<void> {
      await Promise.all([...sessions].map((session) => session.close()));
      await display.close();
    }

    try {
      const env = { ...process.env, DISPLAY: display.name };
      const { stdout } = await promisify(execFile)(binary, ["--version"], { env, timeout: versionTimeoutMs });
      return { version: stdout.replace("WebKitGTK", "").trim(), openTab, close };
    } catch (error) {
      await close();
      throw error;
    }
  },
};
