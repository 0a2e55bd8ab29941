import { create, createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ServerReflection, ServerReflectionRequestSchema } from "../../../../gen/grpc/reflection/v1/reflection_pb.js";
import { LinkService } from "../../../../gen/streamserver/v1/link_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { Reflection } from "../../../../http/service/reflection.js";
import { reflectionRoutes } from "../../../../http/service/reflection-routes.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

const reflection = new Reflection([RelayService, LinkService]);

function ask(messageRequest: Question, sent = new Set<string>()) {
  return reflection.answer(create(ServerReflectionRequestSchema, { host: "h", messageRequest }), sent);
}

function filesOf(messageRequest: Question, sent?: Set<string>) {
  const { messageResponse } = ask(messageRequest, sent);
  if (messageResponse.case !== "fileDescriptorResponse") throw new Error(`answered ${messageResponse.case}`);
  return messageResponse.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test("an answer repeats the request, and lists the services", () => {
  const { validHost, originalRequest, messageResponse } = ask({ case: "listServices", value: "" });
  expect([validHost, originalRequest?.host]).toEqual(["h", "h"]);
  expect(messageResponse).toMatchObject({
    case: "listServicesResponse",
    value: { service: [{ name: "streamserver.v1.RelayService" }, { name: "streamserver.v1.LinkService" }] },
  });
});

test.each([
  ["a service", "streamserver.v1.RelayService", "relay"],
  ["a method", "streamserver.v1.RelayService.Connect", "relay"],
  ["a message", "streamserver.v1.Frame", "frame"],
  ["a nested message", "streamserver.v1.Packet.Ping", "link"],
  ["a field", "streamserver.v1.Frame.credit", "frame"],
  ["a oneof", "streamserver.v1.Packet.content", "link"],
  ["an enum", "streamserver.v1.Failure", "failure"],
  ["an enum's value", "streamserver.v1.FAILURE_LEG_LOST", "failure"],
])("%s is found in its file", (_, value, file) => {
  const [first] = filesOf({ case: "fileContainingSymbol", value });
  expect(first?.name).toBe(`streamserver/v1/${file}.proto`);
});

test("what comes is enough to build the types from, and nothing of it comes twice in one call", () => {
  const sent = new Set<string>();
  const file = filesOf({ case: "fileByFilename", value: "streamserver/v1/relay.proto" }, sent);
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.reverse() }));
  expect(registry.getService("streamserver.v1.RelayService")?.methods.map(({ name }) => name)).toEqual(
    RelayService.methods.map(({ name }) => name),
  );
  const names = (question: Question) => filesOf(question, sent).map(({ name }) => name);
  // The file that is asked for comes again; the files that it needs were sent before.
  expect(names({ case: "fileContainingSymbol", value: "streamserver.v1.LinkService" })).toEqual([
    "streamserver/v1/link.proto",
  ]);
  expect(names({ case: "fileByFilename", value: "streamserver/v1/frame.proto" })).toEqual([
    "streamserver/v1/frame.proto",
  ]);
});

test.each<[string, Question, Code]>([
  ["a file", { case: "fileByFilename", value: "other.proto" }, Code.NotFound],
  ["a symbol", { case: "fileContainingSymbol", value: "streamserver.v1.Nothing" }, Code.NotFound],
  [
    "an extension",
    { case: "fileContainingExtension", value: { containingType: "streamserver.v1.Frame", extensionNumber: 100 } },
    Code.NotFound,
  ],
  ["the extensions of a message", { case: "allExtensionNumbersOfType", value: "other.Message" }, Code.NotFound],
  ["a kind of question", { case: undefined }, Code.Unimplemented],
])("%s that nobody knows is an answer with an error", (_, question, errorCode) => {
  expect(ask(question).messageResponse).toMatchObject({ case: "errorResponse", value: { errorCode } });
});

test("a message without extensions has none", () => {
  expect(ask({ case: "allExtensionNumbersOfType", value: "streamserver.v1.Frame" }).messageResponse).toMatchObject({
    case: "allExtensionNumbersResponse",
    value: { baseTypeName: "streamserver.v1.Frame", extensionNumber: [] },
  });
});

test("extensions are found by number, and by the message that they extend", () => {
  const type = FieldDescriptorProto_Type.STRING;
  const label = FieldDescriptorProto_Label.OPTIONAL;
  const file = create(FileDescriptorProtoSchema, {
    name: "extended.proto",
    package: "extended",
    syntax: "proto2",
    messageType: [{ name: "Base", extensionRange: [{ start: 100, end: 200 }] }],
    extension: [
      { name: "more", number: 100, extendee: ".extended.Base", type, label },
      { name: "most", number: 101, extendee: ".extended.Base", type, label },
    ],
    service: [
      { name: "Extending", method: [{ name: "Do", inputType: ".extended.Base", outputType: ".extended.Base" }] },
    ],
  });
  const service = createFileRegistry(file, () => undefined).getService("extended.Extending");
  if (service === undefined) throw new Error("the file has its service");
  const extended = new Reflection([service]);
  const answer = (messageRequest: Question) =>
    extended.answer(create(ServerReflectionRequestSchema, { messageRequest }), new Set()).messageResponse;
  expect(answer({ case: "allExtensionNumbersOfType", value: "extended.Base" })).toMatchObject({
    value: { extensionNumber: [100, 101] },
  });
  const extension = { containingType: "extended.Base", extensionNumber: 101 };
  expect(answer({ case: "fileContainingExtension", value: extension }).case).toBe("fileDescriptorResponse");
  expect(answer({ case: "fileContainingSymbol", value: "extended.more" }).case).toBe("fileDescriptorResponse");
});

test("a call answers in order, and ends with deadline_exceeded when it asks nothing for 10 s", async () => {
  const clock = new FakeClock();
  const transport = createRouterTransport((router) => reflectionRoutes(router, reflection, clock));
  const listServices = { messageRequest: { case: "listServices", value: "" } } as const;
  const silence = new Promise<never>(() => {});
  async function* requests() {
    yield listServices;
    yield { messageRequest: { case: "fileByFilename", value: "other.proto" } } as const;
    await silence;
  }
  const answers = createClient(ServerReflection, transport).serverReflectionInfo(requests())[Symbol.asyncIterator]();
  const next = async () => (await answers.next()).value?.messageResponse.case;
  expect([await next(), await next()]).toEqual(["listServicesResponse", "errorResponse"]);
  const end = answers.next();
  clock.advance(10_000);
  await expect(end).rejects.toMatchObject({ code: Code.DeadlineExceeded });
});
