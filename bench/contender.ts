/** One end of a stream between a client and a listener, as the works use it, whatever carries it. */
export interface BenchStream {
  /** Sends bytes that the caller never changes. False when the sender must wait for `drained` before it goes on. */
  write(message: Uint8Array): boolean;
  /** Resolves when there is room again. It may be called only after `write` returned false. */
  drained(): Promise<void>;
  /** Starts to read. It is called once. */
  receive(onBytes: (bytes: Uint8Array) => void): void;
  /** Stops reading. Undefined where the contender has no way to stop a sender. */
  pause?(): void;
  /** Ends the stream. The listener's end follows by itself when the client's has ended. */
  end(): void;
  /** Resolves when the stream is over at this end. */
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
  /** Makes a connection for listening to the relay on a port of this machine. Connection 0 is the usual one. */
  listener(port: number, connection: number): Promise<ListenerConnection>;
  /** Makes a connection for connecting. */
  client(port: number, connection: number): Promise<ClientConnection>;
}

/**
 * A relay with its endpoints: this package by one of its carriers, or a yardstick. Each of the three runs in its own
 * process.
 */
export interface Contender extends Endpoints {
  /** Whether a message arrives as it was written, or its bytes in any pieces. */
  readonly keepsMessages: boolean;
  /** Starts the relay on a free port of 127.0.0.1. Resolves with the port. It lives as long as its process. */
  serve(): Promise<number>;
}
