import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { LinkOpenedSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { createLink } from "../../../../web/link/opened-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { thrown } from "../../../fakes/outcome.js";

const sane = { maxChannels: 1, maxPacketBytes: 1, maxBatchBytes: 1, heartbeatIntervalMs: 1 };
const created = (init: MessageInitShape<typeof LinkOpenedSchema>) =>
  createLink(create(LinkOpenedSchema, { ...sane, ...init }), new FakeClock());

test.each(Object.keys(sane) as (keyof typeof sane)[])("a link whose %s is zero is refused", (limit) => {
  expect(created({}).link.isOpen).toBe(true);
  expect(thrown(() => created({ [limit]: 0 }))).toMatchObject({
    failure: Failure.PROTOCOL_VIOLATION,
    hop: Hop.RELAY,
  });
});
