/** One end of a stream between a client and a listener, with the calls that the works use. */
export interface BenchStream {
  /**
   * Sends bytes, which the caller must never change. Returns false if the caller must wait for `drained` before it
   * writes again.
   */
  write(message: Uint8Array): boolean;
  /** Resolves when there is room again. It may be called only after `write` has returned false. */
  drained(): Promise<void>;
  /** Starts to read. It must be called at most once. */
  receive(onBytes: (bytes: Uint8Array) => void): void;
  /** Stops reading. Undefined if the contender has no way to stop a sender. */
  pause?(): void;
  /** Ends the stream. A listener's end ends by itself after the client's. */
  end(): void;
  /** Resolves when the stream is over at this end, in both directions. */
  readonly closed: Promise<void>;
}

/** The connection of a process that listens. It lives as long as its process. */
export interface ListenerConnection {
  /** Claims a name. Resolves when clients can connect to it. */
  listen(name: string, onStream: (stream: BenchStream) => void): Promise<void>;
}

/** The connection of a process that connects. It lives as long as its process. */
export interface ClientConnection {
  /** Opens a stream to the listener of a name. */
  open(name: string): Promise<BenchStream>;
}

/** The endpoints of a contender, in Node or in a page. */
export interface Endpoints {
  /** Connects a listening process to the relay on a port of 127.0.0.1. Connection 0 is the usual one. */
  listener(port: number, connection: number): Promise<ListenerConnection>;
  /** Connects a client's process to the relay on a port of 127.0.0.1. Connection 0 is the usual one. */
  client(port: number, connection: number): Promise<ClientConnection>;
}

/**
 * A relay with its endpoints: this package on one of its carriers, or a yardstick. Relay, listener and client each run
 * in a process of their own.
 */
export interface Contender extends Endpoints {
  /** Whether a message arrives as one piece. If not, its bytes arrive in any pieces. */
  readonly keepsMessages: boolean;
  /** Starts the relay on a free port of 127.0.0.1. Resolves with the port. It lives as long as its process. */
  serve(): Promise<number>;
}

/**
 * A way to the bench's server of HTTP. The relay or the proxy, and the server behind it, each run in a process of their
 * own, or the server in a tab.
 */
export interface HttpContender {
  /**
   * Starts the relay or the proxy on a free port of 127.0.0.1. Resolves with the port. It lives as long as its process.
   */
  serve(): Promise<number>;
  /** Answers behind these names. Resolves when callers can reach them. */
  answer: AnswerNames;
  /** Downloads from a name, as a client of streams. Resolves with the bytes. Undefined where `curl` downloads. */
  download?(port: number, name: string, bytes: number): Promise<number>;
}

/** Answers behind names, at the relay or the proxy on a port of 127.0.0.1, as long as its process or its page lives. */
export type AnswerNames = (port: number, names: readonly string[]) => Promise<void>;
