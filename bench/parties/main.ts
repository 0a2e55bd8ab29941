// This program is one process of a contender. Its parent calls it by messages.
import { findContender, findHttpContender, findStreamContender } from "../contenders.ts";
import { type CallMessage, exitMethod, type ResultMessage, type Role } from "./calls.ts";
import { createClient } from "./client.ts";
import { createHttpCaller } from "./http-caller.ts";
import { createHttpServer } from "./http-server.ts";
import { createListener } from "./listener.ts";
import { createRelay } from "./relay.ts";

const [role, name = ""] = process.argv.slice(2) as [Role, string];

const party = await {
  relay: async () => createRelay(await findContender(name).load()),
  listener: async () => createListener(await findStreamContender(name).load()),
  client: async () => createClient(await findStreamContender(name).load()),
  "http-server": async () => createHttpServer(await findHttpContender(name).load()),
  "http-caller": async () => createHttpCaller(await findHttpContender(name).load()),
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
