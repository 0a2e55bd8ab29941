import { Code, Failure, Hop, type StreamError } from "browser-stream-server";

/** Why a room is over for this tab. */
export type Why =
  | "left"
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
  /** What the host gave as its reason, if it refused. */
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

/** An ending for a person to read. */
export function describeEnding(
  { why, reason, wasIn }: Ending,
  room: string,
  time: string,
): [title: string, text: string] {
  switch (why) {
    case "left":
      return ["You have left", ""];
    case "gone":
      return [
        "The host is gone",
        `The room was closed at ${time}, or its tab lost the connection. What you received is still here to save.`,
      ];
    case "no-such-room":
      return [
        "There is no such room",
        `Nobody has “${room}” open. A room ends with the tab that opened it: check the link, or ask for a new one.`,
      ];
    case "name-taken":
      return ["The name is taken", `Another tab has “${room}” open. Choose another name, or join that room.`];
    case "name-invalid":
      return ["The name will not do", "The relay does not take this name. Choose a shorter one."];
    case "refused":
      return [wasIn ? "The host ended it" : "The host did not let you in", reason];
    case "no-answer":
      return ["The host does not answer", "The room is open, but its tab did not respond. It may be asleep."];
    case "busy":
      return ["There is no room for more", "The relay has as much to do as it takes. Try again later."];
    case "unreachable":
      return wasIn
        ? ["The connection is lost", `The relay has not been reachable since ${time}. Check the network and try again.`]
        : ["The relay cannot be reached", "Check the network and try again."];
  }
}
