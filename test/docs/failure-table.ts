import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Failure, FailureSchema, Hop, HopSchema } from "../../gen/streamserver/v1/failure_pb.js";
import { failureTable } from "../../stream/stream-error.js";
import { code, table } from "./markdown.js";
import type { ProtoProse } from "./proto-prose.js";

/** A failure as `failure.proto` has it: what it means, and in brackets the codes and hops that come with it. */
export interface FailureProse {
  failure: Failure;
  name: string;
  meaning: string;
  /** Empty where the application chooses. */
  codes: Code[];
  hops: Hop[];
}

const allCodes = Object.values(Code).filter((each): each is Code => typeof each === "number");

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

/** Where the table of the code says something else than the prose. */
export function failureDisagreements(prose: ProtoProse): string[] {
  return failureProse(prose).flatMap(({ failure, name, codes, hops }) => {
    const [ownCode, ownHop] = failureTable[failure];
    if (failure === Failure.UNSPECIFIED) return [];
    const problems: string[] = [];
    if (codes.length > 0 && !codes.includes(ownCode)) problems.push(`${name}: the code gives ${codeToString(ownCode)}`);
    if (!hops.includes(ownHop)) problems.push(`${name}: the code gives hop ${Hop[ownHop]}`);
    return problems;
  });
}

/** Every failure with what comes with it. */
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
