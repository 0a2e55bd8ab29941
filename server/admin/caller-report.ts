import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallerReportSchema } from "../../gen/streamserver/v1/admin_pb.js";
import type { Caller } from "../admission/caller.js";

/** Returns the facts about a caller that an operator sees. */
export function callerReport({ door, address, origin, claims }: Caller): MessageInitShape<typeof CallerReportSchema> {
  return { door, address, origin, subject: claims?.subject ?? "", name: claims?.name ?? "" };
}
