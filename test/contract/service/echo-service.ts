import { create, createFileRegistry } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";

interface Method<Kind> {
  methodKind: Kind;
  input: typeof StringValueSchema;
  output: typeof StringValueSchema;
}

const text = ".google.protobuf.StringValue";
const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
  name,
  inputType: text,
  outputType: text,
  clientStreaming,
  serverStreaming,
});

const file = create(FileDescriptorProtoSchema, {
  name: "echo.proto",
  package: "echo.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "EchoService",
      method: [
        method("Unary", false, false),
        method("ServerStream", false, true),
        method("ClientStream", true, false),
        method("BidiStream", true, true),
        // Nobody implements this one.
        method("Missing", false, false),
      ],
    },
  ],
});

/** A service that is none of ours, with a method of each kind, from text to text. */
export const EchoService = createFileRegistry(file, () => file_google_protobuf_wrappers).getService(
  "echo.v1.EchoService",
) as GenService<{
  unary: Method<"unary">;
  serverStream: Method<"server_streaming">;
  clientStream: Method<"client_streaming">;
  bidiStream: Method<"bidi_streaming">;
  missing: Method<"unary">;
}>;
