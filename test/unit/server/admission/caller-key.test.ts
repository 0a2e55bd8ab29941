import { expect, test } from "vitest";
import { addressKey } from "../../../../server/admission/caller-key.js";
import { someCaller } from "../../../fakes/relays.js";

test.each<[string, string | undefined]>([
  ["192.0.2.7", "address 192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::"],
  ["2001:0DB8:1:2::6", "address 2001:db8:1:2::"],
  ["2001:db8::6", "address 2001:db8:0:0::"],
  ["2001:db8:1:2:3::", "address 2001:db8:1:2::"],
  ["::2", "address 0:0:0:0::"],
  ["fe80::1%eth0", "address fe80:0:0:0::"],
  ["127.0.0.1", undefined],
  ["::1", undefined],
  ["", undefined],
])("addressKey of %s is %s", (address, key) => {
  expect(addressKey({ ...someCaller, address })).toBe(key);
});

test.each(["127.0.0.1", "127.9.9.9", "::1"])("addressKey counts %s where a trusted proxy says it", (address) => {
  expect(addressKey({ ...someCaller, address, isForwarded: true })).toMatch(/^address /);
});
