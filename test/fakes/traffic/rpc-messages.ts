import {
  create,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type MessageInitShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  AdminService,
  Failure,
  Feature,
  LinkService,
  type OpenSchema,
  type PacketSchema,
  RelayService,
} from "browser-stream-server/gen";

/** A name that somebody listens on. */
export const echoName = "echo";

/** Ids and tokens as a relay gives them out. */
export interface RpcProofs {
  streamId: string;
  legToken: string;
  leaseId: string;
  leaseToken: string;
  linkId: string;
  linkToken: string;
}

/** Ids and tokens that no relay gave out. */
export const noProofs: RpcProofs = {
  streamId: "0123456789abcdef",
  legToken: "a.b.c",
  leaseId: "fedcba9876543210",
  leaseToken: "d.e.f",
  linkId: "00112233445566",
  linkToken: "g.h.i",
};

/** The right messages of a call, each in binary and in JSON. */
export interface RpcSample {
  service: string;
  method: string;
  kind: DescMethod["methodKind"];
  messages: { binary: Uint8Array; json: JsonValue }[];
}

function sample<Input extends DescMessage>(
  { parent, name, methodKind, input }: DescMethod & { input: Input },
  ...messages: MessageInitShape<Input>[]
): RpcSample {
  const encoded = messages.map((init) => {
    const message = create(input, init);
    return { binary: toBinary(input, message), json: toJson(input, message) };
  });
  return { service: parent.typeName, method: name, kind: methodKind, messages: encoded };
}

/** A message whose only field is a text of at most 127 ASCII characters. Its service is in no entry of the package. */
function textMessage(field: number, name: string, text: string): RpcSample["messages"][number] {
  return { binary: new Uint8Array([8 * field + 2, text.length, ...Buffer.from(text)]), json: { [name]: text } };
}

const { connect, accept, listen, watch, list, unlisten, reject, renew } = RelayService.method;
const { show, endStream, endLease, revoke } = AdminService.method;

/** A leg that opens, sends, acknowledges, ends and resets. */
function leg(method: typeof connect | typeof accept, open: MessageInitShape<typeof OpenSchema>): RpcSample {
  const messages = [{ data: new Uint8Array(40).fill(1) }, { data: new Uint8Array([97, 98]), text: true, more: true }];
  const all = [
    { case: "open" as const, value: open },
    { case: "frame" as const, value: { sequence: 1n, credit: 65_536n, messages } },
    { case: "frame" as const, value: { ack: 1n, credit: 131_072n } },
    { case: "frame" as const, value: { sequence: 2n, ack: 2n, fin: true } },
    { case: "frame" as const, value: { reset: { code: Code.Aborted, reason: "why", failure: Failure.DECLINED } } },
  ];
  const inits = all.map((message) => ({ message }));
  return method === connect ? sample(connect, ...inits) : sample(accept, ...inits);
}

const capabilities = { features: [Feature.CREDIT, Feature.ACK], maxMessageBytes: 1_000_000n };
const resuming = { features: [Feature.CREDIT, Feature.ACK, Feature.RESUME] };

/** Returns at least one call of each RPC of `RelayService`. */
export function relaySamples({ streamId, legToken, leaseId, leaseToken }: RpcProofs): RpcSample[] {
  const own = { name: "own", listed: true, capabilities: resuming };
  return [
    leg(connect, { name: echoName, metadata: { key: "value" }, capabilities }),
    leg(connect, { name: "nobody", accessToken: "x.y.z", waitForListenerMs: 10 }),
    leg(connect, { name: echoName, streamId, legToken, resume: { generation: 1, receivedSequence: 3n } }),
    leg(accept, { streamId, legToken, capabilities }),
    leg(accept, { streamId, legToken, resume: { generation: 2, receivedSequence: 1n } }),
    sample(listen, { ...own, ownerKey: "0123456789abcdef0123456789abcdef", accessToken: "x.y.z" }),
    sample(listen, { ...own, leaseId, leaseToken, generation: 1 }),
    sample(watch, { prefix: "o" }),
    sample(list, { prefix: "o", pageSize: 10 }),
    sample(unlisten, { leaseId, leaseToken }),
    sample(reject, { streamId, legToken, code: Code.Aborted, reason: "no", failure: Failure.DECLINED }),
    sample(renew, { streamId, legToken, accessToken: "x.y.z" }),
    sample(renew, { leaseId, leaseToken, accessToken: "x.y.z" }),
  ];
}

/** Returns at least one call of each RPC of the other services. */
export function otherSamples({ streamId, leaseId, linkId, linkToken }: RpcProofs): RpcSample[] {
  const health = { service: "grpc.health.v1.Health", kind: "unary" } as const;
  const ofRelay = textMessage(1, "service", "streamserver.v1.RelayService");
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  const path = `/${RelayService.typeName}/Watch`;
  const packets: MessageInitShape<typeof PacketSchema>[] = [
    { channel: 1, content: { case: "request", value: { path, headers } } },
    { channel: 1, content: { case: "data", value: new Uint8Array(5) } },
    { channel: 1, content: { case: "end", value: {} } },
  ];
  return [
    sample(show, { namePrefix: "e", maxNames: 10, maxStreams: 10 }),
    sample(endStream, { streamId, reason: "enough" }),
    sample(endLease, { leaseId, reason: "enough" }),
    sample(revoke, { jti: "a token" }),
    sample(revoke, { sub: "somebody", issuedBeforeMs: 1n }),
    sample(LinkService.method.receive, {}),
    sample(LinkService.method.send, { linkId, linkToken, sequence: 1n, packets }),
    { ...health, method: "Check", messages: [ofRelay] },
    { ...health, method: "List", messages: [{ binary: new Uint8Array(), json: {} }] },
    { ...health, method: "Watch", kind: "server_streaming", messages: [ofRelay] },
    {
      service: "grpc.reflection.v1.ServerReflection",
      method: "ServerReflectionInfo",
      kind: "bidi_streaming",
      messages: [
        textMessage(7, "listServices", ""),
        textMessage(4, "fileContainingSymbol", "streamserver.v1.RelayService"),
        textMessage(3, "fileByFilename", "streamserver/v1/relay.proto"),
        textMessage(6, "allExtensionNumbersOfType", "streamserver.v1.Frame"),
      ],
    },
  ];
}
