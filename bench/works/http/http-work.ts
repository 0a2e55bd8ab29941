import type { HttpContenderEntry } from "../../contenders.ts";
import type { HttpTrio } from "../../parties/http-trio.ts";
import type { Work } from "../work.ts";

/** A kind of measurement of a server of HTTP, and of its callers. */
export type HttpWork = Work<HttpTrio, HttpContenderEntry>;
