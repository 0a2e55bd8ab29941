import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Answers gRPC's server reflection for a list of services, with every file that they need.
 * https://grpc.io/docs/guides/reflection/
 */
export class Reflection {
  readonly #services: readonly DescService[];
  readonly #filesByName = new Map<string, DescFile>();
  readonly #filesBySymbol = new Map<string, DescFile>();
  /** By the full name of the message that is extended, then by number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const { file } of services) this.#addFile(file);
  }

  /**
   * Answers one request. `sent`: the names of the files that the same call has sent already; those sent now join them.
   */
  answer(originalRequest: ServerReflectionRequest, sent: Set<string>): ServerReflectionResponse {
    return create(ServerReflectionResponseSchema, {
      validHost: originalRequest.host,
      originalRequest,
      messageResponse: this.#answer(originalRequest.messageRequest, sent),
    });
  }

  #answer({ case: kind, value }: ServerReflectionRequest["messageRequest"], sent: Set<string>): Answer {
    switch (kind) {
      case "fileByFilename":
        return fileAnswer(this.#filesByName.get(value), value, sent);
      case "fileContainingSymbol":
        return fileAnswer(this.#filesBySymbol.get(value), value, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = value;
        const file = this.#extensions.get(containingType)?.get(extensionNumber);
        return fileAnswer(file, `${containingType} ${extensionNumber}`, sent);
      }
      case "allExtensionNumbersOfType": {
        const numbers = this.#extensions.get(value);
        const isMessage = numbers !== undefined || this.#filesBySymbol.has(value);
        if (!isMessage) return errorAnswer(Code.NotFound, `this server knows no ${JSON.stringify(value)}`);
        const extensionNumber = [...(numbers?.keys() ?? [])];
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: value, extensionNumber } };
      }
      case "listServices": {
        const service = this.#services.map(({ typeName }) => ({ name: typeName }));
        return { case: "listServicesResponse", value: { service } };
      }
      default:
        return errorAnswer(Code.Unimplemented, "this server does not know this kind of request");
    }
  }

  #addFile(file: DescFile): void {
    if (this.#filesByName.has(file.proto.name)) return;
    this.#filesByName.set(file.proto.name, file);
    for (const symbol of symbolsOf(file)) this.#filesBySymbol.set(symbol, file);
    for (const type of nestedTypes(file)) {
      if (type.kind !== "extension") continue;
      const { typeName } = type.extendee;
      const numbers = this.#extensions.get(typeName) ?? new Map<number, DescFile>();
      this.#extensions.set(typeName, numbers.set(type.number, file));
    }
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }
}

/** The full names of everything that a file declares. */
function* symbolsOf(file: DescFile): Generator<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    if (type.kind === "service") for (const { name } of type.methods) yield `${type.typeName}.${name}`;
    if (type.kind === "message") yield* membersOf(type);
    if (type.kind === "enum") {
      // In Protobuf an enum's values stand beside the enum and not inside it.
      const scope = type.typeName.slice(0, -type.name.length);
      for (const { name } of type.values) yield scope + name;
    }
  }
}

function* membersOf({ typeName, fields, oneofs }: DescMessage): Generator<string> {
  for (const { name } of [...fields, ...oneofs]) yield `${typeName}.${name}`;
}

function fileAnswer(file: DescFile | undefined, asked: string, sent: Set<string>): Answer {
  if (file === undefined) return errorAnswer(Code.NotFound, `this server knows no ${JSON.stringify(asked)}`);
  const files = [file, ...[...importsOf(file)].reverse()].filter((each) => each === file || !sent.has(each.proto.name));
  for (const { proto } of files) sent.add(proto.name);
  const fileDescriptorProto = files.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** Returns the files that a file needs, each once and after the files that it needs itself. */
function importsOf(file: DescFile, found = new Set<DescFile>()): ReadonlySet<DescFile> {
  for (const dependency of file.dependencies) {
    if (found.has(dependency)) continue;
    importsOf(dependency, found);
    found.add(dependency);
  }
  return found;
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
