import type { ContractCase } from "./contract-case.js";
import { endingCases } from "./ending-cases.js";
import { flowCases } from "./flow-cases.js";
import { messageCases } from "./message-cases.js";
import { nameCases } from "./name-cases.js";

/** All promises of a stream, as cases. None of them needs Node, a page or a test runner. */
export const contract: readonly ContractCase[] = [...messageCases, ...nameCases, ...endingCases, ...flowCases];
