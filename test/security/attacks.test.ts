import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AttackGroup, groups } from "./attacks.ts";
import { problemsOf } from "./bounds.ts";
import { Stage } from "./stage.ts";

// The attacks of a group follow one another on the same relay, and the bystander has to live through all of them.
describe.each(groups.map((group): [string, AttackGroup] => [group.name, group]))(
  "%s",
  (_, { attacks, limits, ...options }) => {
    let stage: Stage;

    beforeAll(async () => {
      stage = await Stage.open({ limits: limits?.short, ...options });
    });

    afterAll(() => stage.close());

    test.each(attacks.map((attack) => [attack.name, attack] as const))("the relay withstands %s", async (_, attack) => {
      expect(problemsOf(attack, await stage.measure(attack, attack.amount.short), "short")).toEqual([]);
    });
  },
);
