import type { StreamServer } from "browser-stream-server";
import type { Party } from "./party.js";

/** Something that a stream promises, whatever carries it, and the parts of the two who see whether it is true. */
export interface ContractCase {
  readonly name: string;
  readonly listen: (party: Party, server: StreamServer) => Promise<void>;
  readonly connect: (party: Party) => Promise<void>;
}
