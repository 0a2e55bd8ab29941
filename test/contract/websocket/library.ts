import { StreamClient } from "browser-stream-server";
import { webSocketOf } from "browser-stream-server/websocket";

/** The class and the URL of sockets that are streams to a name. */
export function streamSocket(relayUrl: string, name: string): [Socket: typeof WebSocket, url: string] {
  return [webSocketOf(StreamClient(relayUrl), name), "ws://host"];
}

/** A library that speaks over WebSockets, at both ends. */
export interface Library {
  name: string;
  /** Serves on a name of the relay. Resolves when it has the name. */
  serve(relayUrl: string, name: string): Promise<LibraryServer>;
  /** Connects to the server of the same library, by the class of its sockets and the URL that it gives to them. */
  connect(Socket: typeof WebSocket, url: string): Promise<LibraryClient>;
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
