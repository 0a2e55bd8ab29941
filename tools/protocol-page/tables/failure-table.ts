import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Failure, FailureSchema, type Hop, HopSchema } from "../../../gen/streamserver/v1/failure_pb.js";
import { code, table } from "./markdown.js";
import type { ProtoProse } from "./proto-prose.js";

/**
 * A failure as its comment in `failure.proto` describes it: a meaning and, in brackets, the codes and hops that come
 * with it.
 */
export interface FailureProse {
  failure: Failure;
  name: string;
  meaning: string;
  /** The list is empty where the application chooses the code. */
  codes: Code[];
  hops: Hop[];
}

const allCodes = Object.values(Code).filter((each): each is Code => typeof each === "number");

/** Reads the comments on the values of `Failure`. */
export function failureProse(prose: ProtoProse): FailureProse[] {
  return FailureSchema.values.map(({ name, number }) => {
    const text = prose.get(`${FailureSchema.typeName}.${name}`) ?? "";
    const [, meaning = text, brackets = ""] = text.match(/^(.*?)\s*\[([^\]]*)\]$/s) ?? [];
    const words = new Set(brackets.match(/\w+/g));
    return {
      failure: number,
      name,
      meaning,
      codes: allCodes.filter((each) => words.has(codeToString(each))),
      hops: HopSchema.values.filter((hop) => words.has(hop.name)).map((hop) => hop.number),
    };
  });
}

/** A table of every failure with its codes, hops and meaning. */
export function failureRows(prose: ProtoProse): string {
  const rows = failureProse(prose).map(({ failure, name, meaning, codes, hops }) => [
    String(failure),
    code(name),
    codes.map((each) => `${code(codeToString(each))} ${each}`).join(" or ") || chosenCode(failure),
    hops.map((hop) => code(HopSchema.value[hop]?.name ?? "")).join(" or ") || "any",
    meaning,
  ]);
  return table(["no.", "failure", "code", "hop", "meaning"], rows);
}

function chosenCode(failure: Failure): string {
  return failure === Failure.DECLINED ? "the listener's" : "any";
}
