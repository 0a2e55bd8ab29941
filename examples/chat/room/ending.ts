import { Code, Failure, Hop, type StreamError } from "browser-stream-server";
import type { Role } from "./message.js";

/** Why a room is over for this tab. */
export type Why =
  | "left"
  | "closed"
  | "gone"
  | "no-such-room"
  | "name-taken"
  | "name-invalid"
  | "refused"
  | "no-answer"
  | "busy"
  | "unreachable";

export interface Ending {
  why: Why;
  /** The host's reason, if it refused. */
  reason: string;
  /** Whether the room had been joined, or opened, before. */
  wasIn: boolean;
  at: Date;
}

const whyByFailure: Partial<Record<Failure, Why>> = {
  [Failure.NO_SUCH_NAME]: "no-such-room",
  [Failure.NAME_TAKEN]: "name-taken",
  [Failure.NAME_INVALID]: "name-invalid",
  [Failure.DECLINED]: "refused",
  [Failure.NOT_ACCEPTED_IN_TIME]: "no-answer",
  [Failure.LISTENER_GONE]: "gone",
  [Failure.PEER_CANCELED]: "gone",
  [Failure.LIMIT_REACHED]: "busy",
};

/** A failure that is none of the protocol's own is the way's to the relay. */
export function whyOf({ failure, hop }: StreamError): Why {
  if (failure === Failure.LEG_LOST) return hop === Hop.PEER ? "gone" : "unreachable";
  return whyByFailure[failure] ?? "unreachable";
}

/** The reason that a guest is given, and the code that makes it a refusal. */
export const refusals = {
  locked: [Code.PermissionDenied, "The room is locked."],
  full: [Code.ResourceExhausted, "The room is full."],
  removed: [Code.PermissionDenied, "You were removed from the room."],
} as const satisfies Record<string, readonly [Code, string]>;

const passing: readonly Why[] = ["gone", "no-such-room", "no-answer", "busy", "unreachable"];

/** Whether another try may succeed by itself, without anybody's decision. */
export function isPassing({ why }: Ending): boolean {
  return passing.includes(why);
}

/** The ending that people are shown after another try has failed: the first loss, and since when. */
export function stillLost(ending: Ending, role: Role, lost: Ending | undefined): Ending {
  if (lost === undefined || !lost.wasIn) return ending;
  if (role === "host") return lost;
  return { ...lost, why: ending.why === "unreachable" ? "unreachable" : "gone" };
}

/** An ending for a person to read. */
export function describeEnding(
  { why, reason, wasIn }: Ending,
  room: string,
  time: string,
): [title: string, text: string] {
  switch (why) {
    case "left":
      return ["You have left", ""];
    case "closed":
      return [
        "The host closed the room",
        `It was closed at ${time}. The files that you received can still be saved here.`,
      ];
    case "gone":
      return [
        "The host is gone",
        `Its tab was closed at ${time}, or lost the connection. The files that you received can still be saved here.`,
      ];
    case "no-such-room":
      return [
        "There is no such room",
        `Nobody has “${room}” open. A room ends with the tab that opened it: check the link, or ask for a new one.`,
      ];
    case "name-taken":
      return ["The name is taken", `Another tab has “${room}” open. Join that room, or choose another name.`];
    case "name-invalid":
      return ["The name will not do", "The relay does not take this name. Choose a shorter one."];
    case "refused":
      return [wasIn ? "The host ended it" : "The host did not let you in", reason];
    case "no-answer":
      return ["The host does not answer", "The room is open, but its tab did not respond. It may be asleep."];
    case "busy":
      return ["There is no room for more", "The relay has as much to do as it takes."];
    case "unreachable":
      return wasIn
        ? ["The connection is lost", `The relay has not been reachable since ${time}. Check the network.`]
        : ["The relay cannot be reached", "Check the network, and whether the relay is running."];
  }
}

/** How the page goes on by itself. */
export function describeWait(role: Role, { why }: Ending): string {
  if (role === "host") return "This page keeps trying, and opens the room by itself.";
  if (why === "no-such-room") return "This page waits, and joins as soon as somebody opens the room.";
  return "This page waits, and joins again by itself.";
}
