/**
 * Pairs clients with listeners for the bare relays. A client gets an id, which is announced to the listener, which
 * accepts the client by it.
 */
export class Rendezvous<Listener, Client> {
  readonly #names = new Map<string, Listener>();
  readonly #waiting = new Map<string, Client>();
  readonly #announce: (listener: Listener, id: string) => void;
  #lastId = 0;

  constructor(announce: (listener: Listener, id: string) => void) {
    this.#announce = announce;
  }

  listen(name: string, listener: Listener): void {
    this.#names.set(name, listener);
  }

  /** Announces a client to the listener of a name. */
  connect(name: string, client: Client): void {
    const listener = this.#names.get(name);
    if (listener === undefined) throw new Error(`nobody listens on ${name}`);
    const id = String(++this.#lastId);
    this.#waiting.set(id, client);
    this.#announce(listener, id);
  }

  /** Returns the client whose id was announced to a listener. */
  accept(id: string): Client {
    const client = this.#waiting.get(id);
    if (client === undefined) throw new Error(`no client ${id}`);
    this.#waiting.delete(id);
    return client;
  }
}
