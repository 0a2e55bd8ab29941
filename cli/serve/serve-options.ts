import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { defaultLimits, type GatewayOptions, type RelayLimits } from "../../server/index.js";
import { defaultDrainTimeoutMs } from "../../server/proxy-options.js";
import { defaultPrefix } from "../../web/api/stream-client.js";
import { maxPort, parseCommandLine, parseMs, parsePort, UsageError } from "../command/command.js";
import { type KeyFile, openKeyFile } from "../command/key-file.js";
import { type Exposure, exposureOf } from "./exposure.js";
import { inheritedSocket } from "./inherited-socket.js";
import { type ListenAddress, parseListenAddress } from "./listen-address.js";
import { hasPolicy, type PolicySettings, policyFlags, readPolicy, type ServePolicy } from "./serve-policy.js";
import { namesOf, TlsFiles } from "./tls-files.js";

/** The settings of `bss serve`, from the command line, the environment and the configuration file together. */
export interface ServeOptions extends Exposure {
  port: number;
  /** A socket that listens already, in place of the host and the port. */
  fd: number | undefined;
  /** Whether everybody may use the relay who reaches it. */
  open: boolean;
  prefix: string;
  origins: string[];
  /** The addresses, and subnets, of the proxies in front of the relay. */
  trustedProxies: string[];
  /** The files of a certificate and its key, or "development" for a certificate that the relay makes itself. */
  tls: TlsFiles | "development" | undefined;
  /** The keys of the tokens. Undefined: a random one. */
  keyFile: KeyFile | undefined;
  /** Says whose access tokens are good for what. Undefined: everybody may do everything. */
  policy: ServePolicy | undefined;
  /** Whether operators are served, whom the policy names. */
  admin: boolean;
  /** Where requests of HTTP reach the listeners of names. Undefined: nowhere. */
  gateway: GatewayOptions | undefined;
  /** The folder whose files are served. Undefined: the page to try the relay. */
  page: string | undefined;
  json: boolean;
  /** Whether streams are traced by OpenTelemetry. */
  trace: boolean;
  /** The address of the metrics. Undefined: there are none. */
  metrics: ListenAddress | undefined;
  /** The time that streams get to end when the relay is told to. */
  drainTimeoutMs: number;
  limits: Partial<RelayLimits>;
}

/** The settings, by the names that they have on the command line and in the configuration file. */
interface Settings extends PolicySettings {
  port?: string | number | undefined;
  host?: string | undefined;
  open?: boolean | undefined;
  hostName?: string[] | undefined;
  prefix?: string | undefined;
  origin?: string[] | undefined;
  trustedProxy?: string[] | undefined;
  tls?: boolean | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  keyFile?: string | undefined;
  admin?: boolean | undefined;
  gateway?: string | undefined;
  gatewayInterstitial?: boolean | undefined;
  page?: string | undefined;
  json?: boolean | undefined;
  metrics?: string | undefined;
  trace?: boolean | undefined;
  drainTimeoutMs?: string | number | undefined;
  limits?: Partial<RelayLimits> | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const flags = {
  config: { type: "string" },
  port: { type: "string" },
  host: { type: "string" },
  open: { type: "boolean" },
  "host-name": { type: "string", multiple: true },
  prefix: { type: "string" },
  origin: { type: "string", multiple: true },
  "trusted-proxy": { type: "string", multiple: true },
  tls: { type: "boolean" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "key-file": { type: "string" },
  ...policyFlags,
  admin: { type: "boolean" },
  gateway: { type: "string" },
  "gateway-interstitial": { type: "boolean" },
  page: { type: "string" },
  json: { type: "boolean" },
  metrics: { type: "string" },
  trace: { type: "boolean" },
  "drain-timeout-ms": { type: "string" },
} as const;

/**
 * Reads the command line, then the environment, then the configuration file; what comes first counts. Throws a
 * `UsageError` for what cannot be understood, and for files that cannot be read.
 */
export function readServeOptions(args: string[], environment: Environment): ServeOptions {
  const { values, positionals } = parseCommandLine(args, flags);
  if (positionals.length > 0) throw new UsageError(`serve takes no ${JSON.stringify(positionals[0])}`);
  const configPath = values.config ?? set(environment).BSS_CONFIG;
  const settings: Settings = {
    ...(configPath === undefined ? {} : readConfig(configPath)),
    ...settingsFromEnvironment(environment),
    ...withoutUndefined({
      ...values,
      hostName: values["host-name"],
      trustedProxy: values["trusted-proxy"],
      tlsCert: values["tls-cert"],
      tlsKey: values["tls-key"],
      keyFile: values["key-file"],
      secretFile: values["secret-file"],
      publicKey: values["public-key"],
      expiredTokensCut: values["expired-tokens-cut"],
      gatewayInterstitial: values["gateway-interstitial"],
      drainTimeoutMs: values["drain-timeout-ms"],
    }),
  };
  const tls = readTls(settings);
  const certificateNames = tls instanceof TlsFiles ? namesOf(tls.content.certificate) : [];
  const exposure = exposureOf({ ...settings, certificateNames, hasPolicy: hasPolicy(settings) });
  return {
    port: parsePort(String(settings.port ?? 8080), "the port"),
    fd: inheritedSocket(environment),
    open: settings.open ?? false,
    ...exposure,
    prefix: settings.prefix ?? defaultPrefix,
    origins: settings.origin ?? [],
    trustedProxies: settings.trustedProxy ?? [],
    tls,
    page: checkFolder(settings.page),
    json: settings.json ?? false,
    trace: settings.trace ?? false,
    metrics: settings.metrics === undefined ? undefined : parseListenAddress(settings.metrics, "--metrics"),
    drainTimeoutMs: parseMs(String(settings.drainTimeoutMs ?? defaultDrainTimeoutMs), "the drain timeout"),
    limits: settings.limits ?? {},
    admin: checkAdmin(settings),
    gateway: gatewayOf(settings, exposure),
    // These files are made if they are missing, so they come after all that may be refused.
    policy: readPolicy(settings),
    keyFile: settings.keyFile === undefined ? undefined : openKeyFile(settings.keyFile),
  };
}

/** Without a policy, whoever reaches the relay would be its operator. */
function checkAdmin(settings: Settings): boolean {
  const { admin = false } = settings;
  if (!admin || hasPolicy(settings)) return admin;
  throw new UsageError(
    "operators are known by their access tokens, and this relay knows none",
    "give --secret-file FILE beside --admin; bss token --key FILE --admin makes a token for an operator",
  );
}

/** By host, the gateway is below each name of the relay. */
function gatewayOf(settings: Settings, { hosts }: Exposure): GatewayOptions | undefined {
  const { gateway: by, gatewayInterstitial: interstitial = false } = settings;
  if (by === undefined && interstitial) throw new UsageError("--gateway-interstitial is for a relay with --gateway");
  if (by === undefined || by === "path") return by && { by, interstitial };
  if (by !== "host") throw new UsageError(`--gateway is path or host, not ${JSON.stringify(by)}`);
  // There are no hosts below an address.
  const names = hosts === "*" ? [] : hosts.filter((host) => isIP(host.replace(/^\[(.*)\]$/, "$1")) === 0);
  if (names.length > 0) return { by, host: names, interstitial };
  throw new UsageError("--gateway host needs a name of the relay, such as --host-name relay.example");
}

function settingsFromEnvironment(environment: Environment): Settings {
  const { BSS_PORT, BSS_HOST, BSS_PREFIX, BSS_ORIGIN, BSS_TLS_CERT, BSS_TLS_KEY, BSS_KEY_FILE, BSS_PAGE, BSS_JSON } =
    set(environment);
  const { BSS_SECRET_FILE, BSS_PUBLIC_KEY, BSS_JWKS, BSS_ISSUER, BSS_AUDIENCE, BSS_EXPIRED_TOKENS_CUT, BSS_ADMIN } =
    set(environment);
  const {
    BSS_GATEWAY,
    BSS_GATEWAY_INTERSTITIAL,
    BSS_DRAIN_TIMEOUT_MS,
    BSS_METRICS,
    BSS_TRACE,
    BSS_OPEN,
    BSS_HOST_NAME,
    BSS_TLS,
    BSS_TRUSTED_PROXY,
  } = set(environment);
  return withoutUndefined({
    port: BSS_PORT,
    host: BSS_HOST,
    open: BSS_OPEN === undefined ? undefined : parseSwitch(BSS_OPEN, "BSS_OPEN"),
    hostName: splitList(BSS_HOST_NAME),
    prefix: BSS_PREFIX,
    origin: splitList(BSS_ORIGIN),
    trustedProxy: splitList(BSS_TRUSTED_PROXY),
    tls: BSS_TLS === undefined ? undefined : parseSwitch(BSS_TLS, "BSS_TLS"),
    tlsCert: BSS_TLS_CERT,
    tlsKey: BSS_TLS_KEY,
    keyFile: BSS_KEY_FILE,
    secretFile: BSS_SECRET_FILE,
    publicKey: BSS_PUBLIC_KEY,
    jwks: BSS_JWKS,
    issuer: BSS_ISSUER,
    audience: BSS_AUDIENCE,
    expiredTokensCut:
      BSS_EXPIRED_TOKENS_CUT === undefined ? undefined : parseSwitch(BSS_EXPIRED_TOKENS_CUT, "BSS_EXPIRED_TOKENS_CUT"),
    gateway: BSS_GATEWAY,
    gatewayInterstitial:
      BSS_GATEWAY_INTERSTITIAL === undefined
        ? undefined
        : parseSwitch(BSS_GATEWAY_INTERSTITIAL, "BSS_GATEWAY_INTERSTITIAL"),
    admin: BSS_ADMIN === undefined ? undefined : parseSwitch(BSS_ADMIN, "BSS_ADMIN"),
    page: BSS_PAGE,
    metrics: BSS_METRICS,
    trace: BSS_TRACE === undefined ? undefined : parseSwitch(BSS_TRACE, "BSS_TRACE"),
    drainTimeoutMs: BSS_DRAIN_TIMEOUT_MS,
    json: BSS_JSON === undefined ? undefined : parseSwitch(BSS_JSON, "BSS_JSON"),
  });
}

/** A variable that is empty is one that is not set. */
function set(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
}

function splitList(text: string | undefined): string[] | undefined {
  return text?.split(",").map((part) => part.trim());
}

function parseSwitch(text: string, what: string): boolean {
  if (text === "1" || text === "true") return true;
  if (text === "0" || text === "false") return false;
  throw new UsageError(`${what} is 1 or 0, not ${JSON.stringify(text)}`);
}

function withoutUndefined(settings: Settings): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

const isString = (value: unknown) => typeof value === "string";
const isSwitch = (value: unknown) => typeof value === "boolean";
const isStrings = (value: unknown) => Array.isArray(value) && value.every(isString);

/** The keys of the configuration file: a check of the value, and the words that describe a value that passes. */
const configKeys: Record<keyof Settings, [check: (value: unknown) => boolean, description: string]> = {
  port: [isPort, "a whole number from 0 to 65535"],
  host: [isString, "a string"],
  open: [isSwitch, "true or false"],
  hostName: [isStrings, "a list of strings"],
  prefix: [isString, "a string"],
  origin: [isStrings, "a list of strings"],
  trustedProxy: [isStrings, "a list of strings"],
  tls: [isSwitch, "true or false"],
  tlsCert: [isString, "the path of a file"],
  tlsKey: [isString, "the path of a file"],
  keyFile: [isString, "the path of a file"],
  secretFile: [isString, "the path of a file"],
  publicKey: [isString, "the path of a file"],
  jwks: [isString, "a URL or the path of a file"],
  issuer: [isString, "a string"],
  audience: [isString, "a string"],
  expiredTokensCut: [isSwitch, "true or false"],
  admin: [isSwitch, "true or false"],
  gateway: [isString, "path or host"],
  gatewayInterstitial: [isSwitch, "true or false"],
  page: [isString, "the path of a folder"],
  json: [isSwitch, "true or false"],
  metrics: [isString, "an address"],
  trace: [isSwitch, "true or false"],
  drainTimeoutMs: [(value) => Number.isInteger(value), "a whole number"],
  limits: [isObject, "an object"],
};

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= maxPort;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readConfig(path: string): Settings {
  const bytes = readFile(path, "configuration");
  let config: unknown;
  try {
    // The decoder drops a byte order mark, and throws for what is no UTF-8.
    config = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (reason) {
    throw new UsageError(`${path} is no JSON: ${(reason as Error).message}`);
  }
  if (!isObject(config)) throw new UsageError(`${path} holds no JSON object`);
  checkKeys(config, configKeys, path);
  for (const [key, value] of Object.entries(config)) {
    const [check, description] = configKeys[key as keyof Settings];
    if (!check(value)) throw new UsageError(`${path}: ${key} is ${description}`);
  }
  const { limits = {} }: Settings = config;
  checkKeys(limits, defaultLimits, `${path}: limits`);
  for (const [name, limit] of Object.entries(limits)) {
    if (!Number.isInteger(limit)) throw new UsageError(`${path}: the limit ${name} is a whole number`);
  }
  return config;
}

/** Throws a `UsageError` for a key that is not known, by name: it is likely to be misspelt. */
function checkKeys(object: object, known: object, place: string): void {
  const unknown = Object.keys(object).find((key) => !Object.hasOwn(known, key));
  if (unknown === undefined) return;
  throw new UsageError(`${place} has no ${JSON.stringify(unknown)}; there are: ${Object.keys(known).join(", ")}`);
}

function readTls({ tls, tlsCert, tlsKey }: Settings): ServeOptions["tls"] {
  if (tlsCert === undefined && tlsKey === undefined) return tls === true ? "development" : undefined;
  if (tlsCert === undefined || tlsKey === undefined) throw new UsageError("TLS takes both, a certificate and its key");
  return new TlsFiles(tlsCert, tlsKey);
}

function checkFolder(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`the page ${JSON.stringify(path)} is no folder`);
  }
  return path;
}

function readFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (reason) {
    throw new UsageError(`the ${what} cannot be read: ${(reason as Error).message}`);
  }
}
