/** A library that speaks over WebSockets, at both ends. */
export interface Library {
  name: string;
  /** Serves on a name of the relay. Resolves when it has the name. */
  serve(relayUrl: string, name: string): Promise<LibraryServer>;
  /** Connects to the server of the same library. */
  connect(relayUrl: string, name: string): Promise<LibraryClient>;
}

export interface LibraryServer {
  /** How many sockets have come. A library that has lost one opens another. */
  sockets(): number;
  end(): Promise<unknown>;
}

export interface LibraryClient {
  /** Has the server answer a call, and tell of it by itself. Resolves with all that the server has told so far. */
  exchange(step: number): Promise<number[]>;
  close(): Promise<unknown>;
}
