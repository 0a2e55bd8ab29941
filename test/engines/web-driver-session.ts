import { readdir, readFile, readlink } from "node:fs/promises";
import { findWebKitDriver } from "../setup/webkit.js";
import { startGroup } from "./process-group.js";

const startTimeoutMs = 60_000;
const callTimeoutMs = 100_000;
const closeTimeoutMs = 5_000;
const pollMs = 10;

/**
 * A session of WebDriver (https://www.w3.org/TR/webdriver2/), with a driver of its own: WebKit's has but one at a time.
 */
export interface WebDriverSession {
  call(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<unknown>;
  /** Closes the window as its user would, then ends the browser and the driver. */
  close(): Promise<void>;
}

async function call(url: string, method: string, body?: object, timeoutMs = callTimeoutMs): Promise<unknown> {
  const answer = await fetch(url, {
    method,
    body: body === undefined ? null : JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const { value } = (await answer.json()) as { value: unknown };
  if (answer.ok) return value;
  const { error, message } = value as { error: string; message: string };
  throw new Error(`${method} ${new URL(url).pathname}: ${error}: ${message}`);
}

/** The port on which a process listens. WebKitWebDriver takes port 0, and does not say which one it got. */
async function listeningPort(pid: number): Promise<number | undefined> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const lines = (await readFile(`/proc/${pid}/net/tcp`, "utf8")).trim().split("\n").slice(1);
  for (const line of lines) {
    const [, address = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    const listens = state === "0A" && targets.includes(`socket:[${inode}]`);
    if (listens) return Number.parseInt(address.slice(address.indexOf(":") + 1), 16);
  }
  return undefined;
}

async function untilListening(pid: number): Promise<number> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    const port = await listeningPort(pid);
    if (port !== undefined) return port;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new Error("WebKitWebDriver does not listen");
}

export async function openSession(display: string, capabilities: object): Promise<WebDriverSession> {
  const program = findWebKitDriver();
  if (program === undefined) throw new Error("no WebKitWebDriver: apt-get install webkit2gtk-driver");
  const driver = await startGroup(program, ["--port=0"], { env: { DISPLAY: display } });
  try {
    const sessions = `http://127.0.0.1:${await driver.whileItRuns(untilListening(driver.pid))}/session`;
    const opened = await call(sessions, "POST", { capabilities: { alwaysMatch: capabilities } }, startTimeoutMs);
    const { sessionId } = opened as { sessionId: string };
    const session = `${sessions}/${sessionId}`;
    const end = async () => {
      // The end of its last window ends the session and the browser; if not, the end of the processes does.
      await call(`${session}/window`, "DELETE", undefined, closeTimeoutMs).catch(() => {});
      await driver.end();
    };
    let ended: Promise<void> | undefined;
    return {
      call: (method, path, body) => call(session + path, method, body),
      close() {
        ended ??= end();
        return ended;
      },
    };
  } catch (error) {
    await driver.end();
    throw error;
  }
}
