import {
  type ConnectOptions,
  type Stream,
  StreamClient,
  StreamServer,
  type TransportLike,
} from "browser-stream-server";

/** A party's way to the relay. */
export interface Reach {
  listen(name: string): StreamServer;
  connect(name: string, options?: ConnectOptions): Stream;
}

/** Returns a way on which everything goes over one transport. */
export function reachOver(transport: TransportLike): Reach {
  return {
    listen: (name) => StreamServer(transport).listen(name),
    connect: (name, options) => StreamClient(transport).connect(name, options),
  };
}
