import { Hop, type Suspension } from "../../web/node.js";
import { notice } from "./notice.js";

/** A connection that is back sooner is not worth a line. */
const noticeDelayMs = 1_000;

/** A stream, or a stream server. */
interface Source {
  on(event: "suspended", listener: (suspension: Suspension) => void): unknown;
  on(event: "resumed" | "close", listener: () => void): unknown;
}

/** Says to the person that a connection is lost and waited for, and that it is back. */
export function noticeSuspensions(source: Source): void {
  let delay: NodeJS.Timeout | undefined;
  let isSaid = false;
  source.on("suspended", ({ hop, graceMs }) => {
    const whose = hop === Hop.PEER ? "the other side's connection" : "the connection";
    const seconds = Math.ceil(graceMs / 1_000);
    delay = setTimeout(() => {
      isSaid = true;
      notice(`${whose} to the relay is lost: waiting for it, for ${seconds} s at most`);
    }, noticeDelayMs).unref();
  });
  source.on("resumed", () => {
    if (isSaid) notice("the connection is back");
    isSaid = false;
    clearTimeout(delay);
  });
  source.on("close", () => clearTimeout(delay));
}
