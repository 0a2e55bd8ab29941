import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import { defaultLimits } from "../../../server/admission/limits.js";
import { enums, messages, services, shortName } from "../../../tools/protocol-page/tables/reference.js";
import { resumeVectors } from "../../../tools/resume-vectors/resume-vectors.js";

const fieldsOf = new Map(
  messages.map((message) => [
    shortName(message),
    new Set([...message.fields, ...message.oneofs].map(({ name }) => name)),
  ]),
);
const values = new Set(enums.flatMap((each) => each.values.map(({ name }) => name)));
const rpcs = new Set(services.flatMap(({ name, methods }) => methods.map((method) => `${name}.${method.name}`)));

/** The names in docs/resume-vectors.json: of its fields, and of what endpoints do. */
export const vectorNames = new Set(
  resumeVectors.flatMap(({ steps, ...head }) => [
    ...Object.keys({ ...head, steps }),
    ...steps.flatMap((step) => [
      step.does,
      ...Object.keys(step),
      ...Object.keys("message" in step ? step.message : {}),
    ]),
  ]),
);

const codes = Object.values(Code).filter((code): code is Code => typeof code === "number");

/**
 * Names on the page that are none of the protocol's: the relay's command, words of Protobuf, Connect, gRPC and HTTP/2,
 * and a package that does not exist.
 */
const foreign = ["serve", "oneof", "details", "value", "google.rpc.Status", "END_STREAM", "streamserver.v2"];

const known = new Set<string>([
  ...fieldsOf.keys(),
  ...[...fieldsOf].flatMap(([message, fields]) => [...fields].flatMap((field) => [field, `${message}.${field}`])),
  ...enums.map(({ name }) => name),
  ...values,
  ...rpcs,
  ...[...rpcs].map((rpc) => rpc.split(".").at(-1) ?? ""),
  ...services.map(({ name }) => name),
  ...codes.map(codeToString),
  ...Object.keys(defaultLimits),
  ...[...services, Health, ServerReflection].map(({ typeName }) => typeName),
  ...[...Health.methods, ...ServerReflection.methods].map((method) => method.name),
  linkProtocol,
  linkSocketPath.split("/").at(-1) ?? "",
  ...vectorNames,
  ...foreign,
]);

const name = /^[A-Za-z]\w*(?:\.\w+)*$/;
const valueName = /\b(?:FAILURE|FEATURE|HOP)_[A-Z_]*[A-Z]\b/g;

/**
 * The names that a page uses and the protocol does not have. Names are words in backticks and in diagrams, and values
 * of enums anywhere.
 */
export function unknownNames(page: string): string[] {
  const prose = page.replaceAll(/^```.*?^```$/gms, "");
  const inBackticks = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  const inDiagrams = [...page.matchAll(/^```mermaid\n(.*?)^```$/gms)].flatMap(([, text = ""]) => diagramNames(text));
  const used = [...inBackticks.filter((text) => name.test(text)), ...(page.match(valueName) ?? []), ...inDiagrams];
  return [...new Set(used.filter((text) => !known.has(text)))];
}

/** The names on the arrows of a diagram: `Offer{stream_id, metadata}` names a message and two of its fields. */
function diagramNames(diagram: string): string[] {
  const labels = [...diagram.matchAll(/^\s*\w+-{1,2}(?:>>|x)\w+: (.*)$/gm)].map(([, label = ""]) => label);
  return labels.flatMap((label) => {
    const withFields = [...label.matchAll(/([A-Z]\w*)\{([^}]*)\}/g)].flatMap(([, message = "", fields = ""]) =>
      fields.split(",").map((field) => `${message}.${field.trim().split(" ")[0]}`),
    );
    return [...withFields, ...(label.match(/\b[A-Z][a-z]\w*/g) ?? [])];
  });
}

/**
 * Numbers that a page repeats instead of referring to its tables: numbers with a unit, and numbers of four digits or
 * more. The number of an RFC is a name and does not count.
 */
export function repeatedNumbers(handWritten: string): string[] {
  return (
    handWritten.match(
      /\b\d[\d,]*(?:\.\d+)? ?(?:bytes?|[KM]iB|ms|s|seconds?|minutes?|days?)\b|(?<!RFC )\b\d[\d,]{3,}\b/g,
    ) ?? []
  );
}
