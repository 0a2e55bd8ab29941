import { Code, Failure } from "browser-stream-server";

/** The properties that a failure must have. A property that is left out may have any value. */
export interface ExpectedFailure {
  code?: Code;
  failure?: Failure;
  message?: string;
}

const longestShown = 200;

/** Throws unless two values are the same all the way down. They are made of JSON's types and of bytes. */
export function checkEqual(what: string, actual: unknown, expected: unknown): void {
  const difference = findDifference(actual, expected, "");
  if (difference !== undefined) throw new Error(`${what}: ${difference}`);
}

/** Throws unless the promise rejects, and with an error of this kind. */
export async function checkRejects(
  what: string,
  promise: Promise<unknown>,
  { code, failure, message }: ExpectedFailure,
): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error(`${what}: it should have failed`);
  const actual = error as Error & ExpectedFailure;
  if (code !== undefined) checkEqual(`${what}: code`, Code[actual.code ?? 0], Code[code]);
  if (failure !== undefined) checkEqual(`${what}: failure`, Failure[actual.failure ?? 0], Failure[failure]);
  if (message !== undefined) checkEqual(`${what}: message`, actual.message, message);
}

function findDifference(actual: unknown, expected: unknown, path: string): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const differ = () => `${path === "" ? "" : `${path} is `}${show(actual)} and not ${show(expected)}`;
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) {
    return haveSameBytes(actual, expected) ? undefined : differ();
  }
  if (!isObject(actual) || !isObject(expected)) return differ();
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return differ();
  const keys = Object.keys(expected);
  if (Object.keys(actual).length !== keys.length) return differ();
  for (const key of keys) {
    if (!Object.hasOwn(actual, key)) return differ();
    const difference = findDifference(actual[key], expected[key], `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function haveSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) return false;
  for (let at = 0; at < one.byteLength; at++) if (one[at] !== other[at]) return false;
  return true;
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes [${value.subarray(0, 8)}…]`;
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= longestShown ? text : `${text.slice(0, longestShown)}… (${text.length} characters)`;
}
