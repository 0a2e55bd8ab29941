import { libraries } from "./libraries.js";
import { type Library, type LibraryClient, type LibraryServer, streamSocket } from "./library.js";

/** What a test has begun in this page, by the name of its library. */
const servers = new Map<string, LibraryServer>();
const clients = new Map<string, LibraryClient>();

async function serveByName(name: string, relayUrl: string): Promise<void> {
  servers.set(name, await named(name).serve(relayUrl, name));
}

async function connectByName(name: string, relayUrl: string): Promise<void> {
  clients.set(name, await named(name).connect(...streamSocket(relayUrl, name)));
}

async function exchangeByName(name: string, step: number): Promise<number[]> {
  return begun(clients, name).exchange(step);
}

/** Ends the client of a library. */
async function closeByName(name: string): Promise<void> {
  await begun(clients, name).close();
}

/** Ends the server of a library. Resolves with how many sockets had come. */
async function endByName(name: string): Promise<number> {
  const server = begun(servers, name);
  await server.end();
  return server.sockets();
}

function named(name: string): Library {
  const library = libraries.find((each) => each.name === name);
  if (library === undefined) throw new Error(`there is no library ${name}`);
  return library;
}

function begun<T>(all: ReadonlyMap<string, T>, name: string): T {
  const one = all.get(name);
  if (one === undefined) throw new Error(`nothing of ${name} was begun`);
  return one;
}

Object.assign(globalThis, { serveByName, connectByName, exchangeByName, closeByName, endByName });
