import { create } from "@bufbuild/protobuf";
import { describe, expect, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { OpenSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import type { Caller } from "../../../../server/admission/caller.js";
import type { Grant } from "../../../../server/admission/policy/authorize.js";
import { Links, type LinksInit } from "../../../../server/link/links.js";
import { connectRpc } from "../../../../server/rpc/leg/leg-rpc.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { packet, request } from "../../../fakes/links.js";
import { promiseState, settled } from "../../../fakes/outcome.js";
import { newRelay, noFacts, resumes, someCaller } from "../../../fakes/relays.js";

const farewellMs = 500;
const listing = { action: "list", name: "", metadata: {} } as const;

const claims = {
  subject: "ann",
  name: "",
  meta: {},
  tokenId: "",
  cut: false,
  issuedAtMs: 0,
  expiresAtMs: undefined,
};
const ann: Caller = { ...someCaller, claims };

/** Links to a relay whose policy takes the token for the subject. */
function linksOf(grant: Omit<Grant, "subject"> = {}) {
  const testRelay = newRelay({}, undefined, ({ token }) => ({ ...grant, subject: token }));
  const { relay, clock } = testRelay;
  const calls: { caller: Caller; over: Deferred<void> }[] = [];
  const serveChannel: LinksInit["serveChannel"] = async (channel, _request, caller, _token, control) => {
    control.takePlace();
    const over = new Deferred<void>();
    calls.push({ caller, over });
    await over.promise;
    channel.end();
    channel.reset(new StreamError("over"));
  };
  const links = new Links({ ...relay, handlers: [], serveChannel });
  /** Opens a link, and a call on it. */
  const open = async () => {
    const { link } = links.open(someCaller, "", 1_000);
    link.receive(packet({ channel: 1, content: { case: "request", value: request() } }));
    await settled();
    const { caller, over } = calls.at(-1) as (typeof calls)[number];
    const letIn = (token: string) => relay.admission.admit({ ...listing, caller, token });
    const endCall = async () => {
      over.resolve();
      await settled();
    };
    return { link, caller, letIn, endCall, isOpen: () => link.isOpen };
  };
  return { relay, clock, links, open };
}

describe("A link whose last call was let in by a grant", () => {
  test("ends at once when that is revoked, if it has no call, and no other link does", async () => {
    const { relay, open, links, clock } = linksOf();
    const [first, bob] = [await open(), await open()];
    first.letIn("ann");
    bob.letIn("bob");
    await Promise.all([first.endCall(), bob.endCall()]);
    // A link is neither a name nor a stream, whose number a revocation tells.
    expect(relay.admission.grants.revoke({ sub: "ann" })).toBe(0);
    expect([first.isOpen(), bob.isOpen()]).toEqual([false, true]);
    expect(await first.link.closed).toMatchObject({ failure: Failure.LEG_LOST });
    bob.link.close(new StreamError("over"));
    await settled();
    expect([links.counts.links, relay.admission.grants.size, clock.timers]).toEqual([0, 0, 0]);
  });

  test("ends half of a second later if a call stays open", async () => {
    const { relay, open, clock } = linksOf();
    const link = await open();
    link.letIn("ann");
    relay.admission.grants.revoke({ sub: "ann" });
    clock.advance(farewellMs - 1);
    expect(link.isOpen()).toBe(true);
    clock.advance(1);
    expect(link.isOpen()).toBe(false);
  });

  test("stays if another grant has let in a call since, before or after the end of the first", async () => {
    const { relay, open, clock } = linksOf();
    const link = await open();
    link.letIn("ann");
    link.letIn("bob");
    relay.admission.grants.revoke({ sub: "ann" });
    expect(link.isOpen()).toBe(true);
    relay.admission.grants.revoke({ sub: "bob" });
    link.letIn("carol");
    clock.advance(farewellMs);
    expect(link.isOpen()).toBe(true);
  });

  test("ends when that expires, if it cuts", async () => {
    const now = vi.spyOn(Date, "now").mockReturnValue(1_000_000);
    const { open, clock } = linksOf({ cut: true, expiresAtMs: 1_000_500 });
    const link = await open();
    link.letIn("ann");
    await link.endCall();
    expect(await promiseState(link.link.closed)).toBe("pending");
    now.mockReturnValue(1_000_500);
    clock.advance(1_000);
    expect(link.isOpen()).toBe(false);
    now.mockRestore();
  });

  test("ends, too, where the call came back to a stream by the token of its leg", async () => {
    const { relay, open } = linksOf();
    const link = await open();
    relay.listen("room", false, { isResumable: true });
    const { splice, token } = relay.connect("room", { ...noFacts, capabilities: resumes }, 0, ann);
    relay.accept(splice.id, relay.offerToken(splice), resumes);
    const init = { streamId: splice.id, legToken: token, capabilities: resumes, resume: { generation: 1 } };
    connectRpc.attach(relay, create(OpenSchema, init), { caller: link.caller, metadata: {} });
    await link.endCall();
    relay.admission.grants.revoke({ sub: "ann" });
    expect(link.isOpen()).toBe(false);
  });

  test("ends, too, where the call took up a name", async () => {
    const { relay, open } = linksOf();
    const link = await open();
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "" };
    const { lease, token } = relay.listen("room", false, { ...claim, caller: ann });
    relay.takeUp({ ...claim, caller: link.caller }, { leaseId: lease.id, leaseToken: token, generation: 1 });
    await link.endCall();
    relay.admission.grants.revoke({ sub: "ann" });
    expect(link.isOpen()).toBe(false);
  });
});
