import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

/** Field numbers of descriptor.proto. The paths in `SourceCodeInfo` consist of them. */
const inFile = { message: 4, enum: 5, service: 6 };
const inMessage = { field: 2, message: 3, enum: 4 };
const inEnum = { value: 2 };
const inService = { method: 2 };

/** The comments in the proto files, by the full name of what they describe, such as `streamserver.v1.Frame.ack`. */
export type ProtoProse = ReadonlyMap<string, string>;

/** Reads the comments in the proto files with `buf build`. */
export function readProtoProse(): ProtoProse {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const set = execFileSync("node_modules/.bin/buf", ["build", "-o", "-"], { cwd: root, maxBuffer: 16_777_216 });
  return new Map(fromBinary(FileDescriptorSetSchema, set).file.flatMap((file) => [...fileProse(file)]));
}

function* fileProse(file: FileDescriptorProto): Generator<[string, string]> {
  const comments = new Map<string, string>();
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    if (leadingComments !== "") comments.set(path.join("."), tidy(leadingComments));
  }
  for (const [path, name] of declared(file)) {
    const comment = comments.get(path.join("."));
    if (comment !== undefined) yield [name, comment];
  }
}

/** Joins the lines of each paragraph, and keeps the paragraphs apart. */
function tidy(comment: string): string {
  return comment
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim().replaceAll(/\s*\n\s*/g, " "))
    .join("\n\n");
}

type Declared = [path: number[], name: string];

function* declared(file: FileDescriptorProto): Generator<Declared> {
  for (const [at, type] of file.messageType.entries()) {
    yield* messageNames(type, [inFile.message, at], `${file.package}.${type.name}`);
  }
  for (const [at, type] of file.enumType.entries()) {
    yield* enumNames(type, [inFile.enum, at], `${file.package}.${type.name}`);
  }
  for (const [at, service] of file.service.entries()) {
    const [path, name] = [[inFile.service, at], `${file.package}.${service.name}`];
    yield [path, name];
    for (const [nth, method] of service.method.entries()) {
      yield [[...path, inService.method, nth], `${name}.${method.name}`];
    }
  }
}

function* messageNames(type: DescriptorProto, path: number[], name: string): Generator<Declared> {
  yield [path, name];
  for (const [at, field] of type.field.entries()) yield [[...path, inMessage.field, at], `${name}.${field.name}`];
  for (const [at, inner] of type.nestedType.entries()) {
    yield* messageNames(inner, [...path, inMessage.message, at], `${name}.${inner.name}`);
  }
  for (const [at, inner] of type.enumType.entries()) {
    yield* enumNames(inner, [...path, inMessage.enum, at], `${name}.${inner.name}`);
  }
}

function* enumNames(type: EnumDescriptorProto, path: number[], name: string): Generator<Declared> {
  yield [path, name];
  for (const [at, value] of type.value.entries()) yield [[...path, inEnum.value, at], `${name}.${value.name}`];
}
