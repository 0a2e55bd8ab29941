import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallerReportSchema } from "../../gen/streamserver/v1/admin_pb.js";
import type { Caller } from "../admission/caller.js";

/** An Origin may have 16 KiB and a subject 8 KiB, and a report has up to 3,000 callers. The log cuts them as well. */
const maxFactChars = 256;

/** Returns the facts about a caller that an operator sees. */
export function callerReport({ door, address, origin, claims }: Caller): MessageInitShape<typeof CallerReportSchema> {
  return { door, address, origin: cut(origin), subject: cut(claims?.subject), name: cut(claims?.name) };
}

/** Text up to a length. A half of a surrogate pair, which no message can carry, becomes a replacement character. */
function cut(text = ""): string {
  return text.length > maxFactChars ? `${Buffer.from(text.slice(0, maxFactChars)).toString()}…` : text;
}
