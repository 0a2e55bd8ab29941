import { Code, Failure, Hop, StreamError } from "../web/node.js";
import { UsageError } from "./command/command.js";
import { Interrupted } from "./command/interruption.js";
import { OutputClosed } from "./terminal/output.js";

/** The exit codes, by which a script tells why the program ended. */
const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  noSuchName: 3,
  nameTaken: 4,
  declined: 5,
  relayUnreachable: 6,
  otherSideGone: 7,
  notPermitted: 9,
  interrupted: 130,
  outputClosed: 141,
  terminated: 143,
} as const;

/** For `--help`. */
export const exitCodesHelp = `Exit codes:
    0  done: both sides have finished, and everything has arrived
    1  failed for another reason
    2  the command line, the environment or the configuration cannot be understood
    3  nobody listens on the name
    4  the name is taken
    5  the listener declined, or did not answer
    6  the relay cannot be reached, or is lost
    7  the other side went away, or broke off
    8  this version of Node is not one that the program is made for
    9  the relay does not permit it: the access token is missing, not good, or for something else
  130  interrupted (Ctrl-C)    141  standard output was closed    143  terminated
`;

/** The exit code for what a command rejected with. */
export function exitCodeOf(reason: unknown): number {
  if (reason instanceof UsageError) return exitCodes.usage;
  if (reason instanceof OutputClosed) return exitCodes.outputClosed;
  if (reason instanceof Interrupted) {
    return reason.signalName === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
  }
  return reason instanceof StreamError ? exitCodeOfStream(reason) : exitCodes.failed;
}

function exitCodeOfStream({ failure, hop, code }: StreamError): number {
  switch (failure) {
    case Failure.NO_SUCH_NAME:
      return exitCodes.noSuchName;
    case Failure.NAME_INVALID:
      return exitCodes.usage;
    case Failure.NAME_TAKEN:
      return exitCodes.nameTaken;
    case Failure.DECLINED:
    case Failure.NOT_ACCEPTED_IN_TIME:
      return exitCodes.declined;
    case Failure.NOT_PERMITTED:
      return code === Code.Unavailable ? exitCodes.relayUnreachable : exitCodes.notPermitted;
    case Failure.DRAINING:
      return exitCodes.relayUnreachable;
    case Failure.LEG_LOST:
      return hop === Hop.RELAY ? exitCodes.relayUnreachable : exitCodes.otherSideGone;
    case Failure.LISTENER_GONE:
    case Failure.PEER_CANCELED:
      return exitCodes.otherSideGone;
    default:
      if (hop === Hop.PEER) return exitCodes.otherSideGone;
      return hop === Hop.RELAY && code === Code.Unavailable ? exitCodes.relayUnreachable : exitCodes.failed;
  }
}
