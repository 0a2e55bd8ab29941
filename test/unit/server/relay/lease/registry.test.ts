import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { thrown } from "../../../../fakes/outcome.js";
import { connect, newRelay } from "../../../../fakes/relays.js";

test("a name is held by one listener, until its lease ends", () => {
  const { relay } = newRelay();
  const { lease } = relay.listen("room", false);
  expect(thrown(() => relay.listen("room", false))).toMatchObject({
    failure: Failure.NAME_TAKEN,
    code: Code.AlreadyExists,
  });
  lease.end("canceled");
  relay.listen("room", false);
  expect(relay.counts.leases).toBe(1);
});

test("a lease that ended, and ends again, leaves the next one on its name alone", () => {
  const { relay } = newRelay();
  const { lease: first } = relay.listen("room", false);
  first.end("canceled");
  const { lease: second } = relay.listen("room", false);
  first.end("lost");
  expect(relay.registry.byName("room")).toBe(second);
  expect(relay.registry.byId(second.id)).toBe(second);
  expect(relay.registry.byId(first.id)).toBeUndefined();
});

test("names differ by their bytes: case, spaces and forms of one character", () => {
  const { relay } = newRelay();
  for (const name of ["room", "Room", " room", "é", "e\u0301"]) relay.listen(name, false);
  expect(relay.counts.leases).toBe(5);
});

const invalid = ["", "x".repeat(257), "é".repeat(129), "😀".repeat(65)];

test.each(invalid)("a name that is empty or has more than 256 bytes of UTF-8 is refused", (name) => {
  const { relay } = newRelay();
  const refused = { failure: Failure.NAME_INVALID, code: Code.InvalidArgument };
  expect(thrown(() => relay.listen(name, false))).toMatchObject(refused);
  expect(thrown(() => connect(relay, name))).toMatchObject(refused);
});

test.each(["x", "x".repeat(256), "é".repeat(128), "😀".repeat(64)])("a name of 1 to 256 bytes is taken", (name) => {
  const { relay } = newRelay();
  const { lease } = relay.listen(name, false);
  connect(relay, name);
  expect(lease).toMatchObject({ name, offers: 1 });
});

test("the relay holds so many names, and a name that is given up makes room", () => {
  const { relay } = newRelay({ maxNames: 2 });
  const { lease } = relay.listen("1", false);
  relay.listen("2", false);
  expect(thrown(() => relay.listen("3", false)).failure).toBe(Failure.LIMIT_REACHED);
  lease.end("canceled");
  relay.listen("3", false);
});

test("those who watch the names hear of each change, and why it ended, until they stop", () => {
  const { relay } = newRelay();
  const changes: unknown[] = [];
  const stop = relay.registry.observe((change) =>
    changes.push(change.kind === "destroyed" ? [change.lease.name, change.end] : change.lease.name),
  );
  const { lease, token } = relay.listen("a", false);
  relay.listen("b", false).lease.end("canceled");
  relay.registry.unlisten(lease.id, token);
  expect(changes).toEqual(["a", "b", ["b", "canceled"], ["a", "unlisten"]]);
  stop();
  relay.listen("c", false);
  expect(changes).toHaveLength(4);
});

test("a lease that ends while it is announced leaves nothing behind", () => {
  const { relay } = newRelay();
  relay.registry.observe(({ kind, lease }) => kind === "created" && lease.end("relay closed"));
  relay.listen("room", true);
  expect(relay.counts.leases).toBe(0);
});

test("unlisten frees the name; a second time there is no lease", () => {
  const { relay } = newRelay();
  const { lease, token } = relay.listen("room", false);
  relay.registry.unlisten(lease.id, token);
  expect(relay.counts.leases).toBe(0);
  expect(thrown(() => connect(relay)).failure).toBe(Failure.NO_SUCH_NAME);
  expect(thrown(() => relay.registry.unlisten(lease.id, token))).toMatchObject({
    failure: Failure.LEASE_GONE,
    code: Code.NotFound,
  });
});

test("Registry.unlisten: nobody ends a lease with another's token", () => {
  const { relay } = newRelay();
  const mine = relay.listen("mine", false);
  const other = relay.listen("other", false);
  expect(thrown(() => relay.registry.unlisten(mine.lease.id, other.token)).failure).toBe(Failure.TOKEN_INVALID);
  expect(thrown(() => relay.registry.unlisten(mine.lease.id, "")).failure).toBe(Failure.TOKEN_INVALID);
  expect(relay.counts.leases).toBe(2);
});
