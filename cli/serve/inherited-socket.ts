import { UsageError } from "../command/command.js";

/** The first descriptor that a supervisor passes, behind those of standard input and output. sd_listen_fds(3). */
const firstDescriptor = 3;

/**
 * Returns the descriptor of a socket that listens already, if the supervisor of this process has passed one, as a
 * systemd socket unit does. Throws a `UsageError` for several of them.
 */
export function inheritedSocket(environment: Readonly<Record<string, string | undefined>>): number | undefined {
  const { LISTEN_PID, LISTEN_FDS } = environment;
  // The variables of a parent are inherited too, but its sockets were not meant for this process.
  if (LISTEN_PID !== String(process.pid) || LISTEN_FDS === undefined) return undefined;
  if (LISTEN_FDS === "1") return firstDescriptor;
  throw new UsageError(`a relay listens on one socket, and LISTEN_FDS says ${JSON.stringify(LISTEN_FDS)}`);
}
