import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findChromium } from "../setup/chromium.js";
import { startGroup } from "./process-group.js";

/** A tab that nobody looks into but by evaluating. */
export interface UnwatchedTab {
  /**
   * Evaluates an expression in the page, awaits its promise, and resolves with the value as JSON can carry it. Rejects
   * with the error that it throws.
   */
  evaluate(expression: string): Promise<unknown>;
}

export interface UnwatchedChromium {
  openTab(url: string): Promise<UnwatchedTab>;
  close(): Promise<void>;
}

interface Reply {
  id?: number;
  result?: { [key: string]: unknown };
  error?: { message: string };
}

/**
 * Chromium for measuring. The libraries that drive browsers have it report each message of a WebSocket to them, which
 * takes more time than the message. https://chromedevtools.github.io/devtools-protocol/
 */
export async function launchUnwatched(): Promise<UnwatchedChromium> {
  const program = findChromium();
  if (program === undefined) throw new Error("no Chromium: set CHROMIUM to its path");
  const folder = await mkdtemp(join(tmpdir(), "chromium-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
  args.push("--disable-background-networking", "--disable-component-update", `--user-data-dir=${folder}`);
  args.push("--remote-debugging-port=0", "about:blank");
  const group = await startGroup(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: group.child.stderr! });
  const address = new Promise<string>((resolve) => {
    lines.on("line", (line) => {
      const [url] = /ws:\S+/.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    });
  });
  const socket = new WebSocket(await group.whileItRuns(address));
  await group.whileItRuns(once(socket as never, "open"));
  const waiting = new Map<number, { resolve(result: Reply["result"]): void; reject(error: Error): void }>();
  socket.onmessage = ({ data }) => {
    const { id = 0, result, error } = JSON.parse(data) as Reply;
    if (error !== undefined) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
    waiting.delete(id);
  };
  let lastId = 0;
  const call = (method: string, params: object, sessionId?: unknown) =>
    new Promise<NonNullable<Reply["result"]>>((resolve, reject) => {
      waiting.set(++lastId, { resolve: (result) => resolve(result ?? {}), reject });
      socket.send(JSON.stringify({ id: lastId, method, params, sessionId }));
    });
  return {
    async openTab(url) {
      // A window of its own: tabs behind others are throttled.
      const { browserContextId } = await call("Target.createBrowserContext", {});
      const { targetId } = await call("Target.createTarget", { url, browserContextId, newWindow: true });
      const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
      const evaluate = async (expression: string) => {
        const params = { expression, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails } = await call("Runtime.evaluate", params, sessionId);
        const { exception } = (exceptionDetails ?? {}) as { exception?: { description?: string } };
        if (exceptionDetails !== undefined) throw new Error(exception?.description ?? "an exception");
        return (result as { value?: unknown }).value;
      };
      // Between two documents there is nothing to evaluate in.
      const place = () => evaluate("document.readyState + location.origin").catch(() => undefined);
      while ((await place()) !== `complete${new URL(url).origin}`);
      return { evaluate };
    },
    async close() {
      socket.close();
      lines.close();
      await group.end();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
