import type { DescEnum, DescField, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { file_streamserver_v1_failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { file_streamserver_v1_frame } from "../../../gen/streamserver/v1/frame_pb.js";
import { file_streamserver_v1_link } from "../../../gen/streamserver/v1/link_pb.js";
import { file_streamserver_v1_relay } from "../../../gen/streamserver/v1/relay_pb.js";
import { code, table } from "./markdown.js";
import type { ProtoProse } from "./proto-prose.js";

const files = [
  file_streamserver_v1_relay,
  file_streamserver_v1_frame,
  file_streamserver_v1_link,
  file_streamserver_v1_failure,
];

export const services: readonly DescService[] = files.flatMap((file) => file.services);
export const messages: readonly DescMessage[] = files.flatMap((file) => file.messages.flatMap(withNested));
export const enums: readonly DescEnum[] = files.flatMap((file) => file.enums);

function withNested(message: DescMessage): DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)];
}

/** A message's name inside the package. A nested message has the outer name before its own, as in `Packet.Ping`. */
export function shortName({ typeName }: { typeName: string }): string {
  return typeName.replace("streamserver.v1.", "");
}

/** Every RPC, message, field and enum value with its comment in the proto files. */
export function reference(prose: ProtoProse): string {
  const parts = [
    ...services.flatMap((service) => serviceReference(service, prose)),
    "### Messages",
    ...messages.flatMap((message) => messageReference(message, prose)),
    "### Enums",
    ...enums.flatMap((each) => enumReference(each, prose)),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function serviceReference(service: DescService, prose: ProtoProse): string[] {
  return [
    `### ${service.name}`,
    prose.get(service.typeName) ?? "",
    ...service.methods.flatMap((method) => [
      `**${service.name}.${method.name}** (${methodKind(method)}): ${code(method.input.name)} → ${code(method.output.name)}`,
      prose.get(`${service.typeName}.${method.name}`) ?? "",
    ]),
  ];
}

function methodKind({ methodKind }: DescMethod): string {
  return { unary: "unary", server_streaming: "server streaming", client_streaming: "", bidi_streaming: "bidi" }[
    methodKind
  ];
}

function messageReference(message: DescMessage, prose: ProtoProse): string[] {
  const oneofs = message.oneofs.map(
    ({ name, fields }) => `One of ${fields.map((field) => code(field.name)).join(", ")} is set (oneof ${code(name)}).`,
  );
  const rows = message.fields.map((field) => [
    String(field.number),
    code(field.name),
    fieldType(field),
    prose.get(`${message.typeName}.${field.name}`) ?? "",
  ]);
  return [
    `#### ${shortName(message)}`,
    prose.get(message.typeName) ?? "",
    ...oneofs,
    rows.length === 0 ? "No fields." : table(["no.", "field", "type", "what it says"], rows),
  ];
}

function fieldType(field: DescField): string {
  if (field.fieldKind === "map") return `map of ${ScalarType[field.mapKey].toLowerCase()} to ${mapValue(field)}`;
  const type = field.message ?? field.enum;
  const name = type === undefined ? ScalarType[field.scalar as ScalarType].toLowerCase() : code(shortName(type));
  return field.fieldKind === "list" ? `repeated ${name}` : name;
}

function mapValue({ scalar }: DescField): string {
  return scalar === undefined ? "message" : ScalarType[scalar].toLowerCase();
}

function enumReference(each: DescEnum, prose: ProtoProse): string[] {
  const rows = each.values.map(({ number, name }) => [
    String(number),
    code(name),
    prose.get(`${each.typeName}.${name}`) ?? "",
  ]);
  return [`#### ${each.name}`, prose.get(each.typeName) ?? "", table(["no.", "value", "what it says"], rows)];
}
