import type { Socket } from "node:net";

/**
 * Resets a connection, so that its peer does not take what was cut short for whole. Node refuses to reset a socket in
 * the turn in which its end is on its way, with EINVAL, and then never closes its descriptor: such a socket is reset a
 * turn later.
 */
export function resetSocket(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (isEnding && !socket.destroyed) socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}
