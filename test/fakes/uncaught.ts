import { settled } from "./outcome.js";

const events = ["uncaughtException", "unhandledRejection"] as const;

/** Errors that nobody caught while `action` ran, in their order, in place of the end of the process. */
export async function uncaughtDuring(action: () => unknown): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const note = (reason: unknown) => void uncaught.push(reason);
  const others = events.map((event) => process.listeners(event as "uncaughtException"));
  for (const event of events) process.removeAllListeners(event).on(event, note);
  try {
    await action();
    await settled();
  } finally {
    events.forEach((event, at) => {
      process.off(event, note);
      for (const other of others[at] ?? []) process.on(event, other as () => void);
    });
  }
  return uncaught;
}
