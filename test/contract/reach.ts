import {
  type ConnectOptions,
  type Stream,
  StreamClient,
  StreamServer,
  type TransportLike,
} from "browser-stream-server";

/** How a party reaches the relay. */
export interface Reach {
  listen(name: string): StreamServer;
  connect(name: string, options?: ConnectOptions): Stream;
}

/** Everything over one transport. */
export function reachOver(transport: TransportLike): Reach {
  return {
    listen: (name) => StreamServer(transport).listen(name),
    connect: (name, options) => StreamClient(transport).connect(name, options),
  };
}
