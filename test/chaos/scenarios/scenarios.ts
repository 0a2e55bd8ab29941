import { frozen } from "./frozen.ts";
import { keyless } from "./keyless.ts";
import { leaks } from "./leaks.ts";
import { namespaces } from "./namespace.ts";
import { outages } from "./outages.ts";
import { reloads } from "./reloads.ts";
import { returns } from "./returns.ts";
import { rolling } from "./rolling.ts";
import type { Scenario } from "./scenario.ts";
import { cutTabs, killedTabs } from "./tabs.ts";
import { cutTransfers, killedTransfers } from "./transfers.ts";

/** The long runs, in the order in which `--scenario all` runs them. */
export const scenarios: readonly Scenario[] = [
  returns,
  cutTransfers,
  killedTransfers,
  keyless,
  outages,
  rolling,
  leaks,
  namespaces,
  cutTabs,
  killedTabs,
  reloads,
  frozen,
];
