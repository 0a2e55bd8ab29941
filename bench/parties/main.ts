// This program is the relay, the listener or the client of one contender. Its parent calls it by messages.
import { findStreamContender } from "../contenders.ts";
import { type CallMessage, exitMethod, type ResultMessage, type Role } from "./calls.ts";
import { createClient } from "./client.ts";
import { createListener } from "./listener.ts";
import { partyCalls } from "./usage.ts";

const [role, name = ""] = process.argv.slice(2) as [Role, string];
const contender = await findStreamContender(name).load();

const party = {
  relay: () => ({ ...partyCalls, serve: () => contender.serve() }),
  listener: () => createListener(contender),
  client: () => createClient(contender),
}[role]();

const send = (result: ResultMessage) => process.send?.(result);

process.on("message", async ({ id, method, args }: CallMessage) => {
  if (method === exitMethod) process.exit();
  try {
    const call = (party as unknown as Record<string, (...args: unknown[]) => unknown>)[method];
    if (call === undefined) throw new Error(`a ${role} has no ${method}`);
    send({ id, value: await call(...args) });
  } catch (error) {
    send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
// The parent has ended without the call to end.
process.on("disconnect", () => process.exit());
