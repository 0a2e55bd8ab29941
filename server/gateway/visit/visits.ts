import type { IncomingMessage } from "node:http";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { OpenSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { httpMetadata } from "../../../http/link/stream-link.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Caller, Claims } from "../../admission/caller.js";
import { callerKey } from "../../admission/caller-key.js";
import type { Admitted } from "../../admission/policy/authorize.js";
import { carriedGrantText } from "../../admission/policy/carried-grant.js";
import type { NodeRequest, NodeResponse } from "../../http/node-server.js";
import { requestCaller } from "../../http/request/request-caller.js";
import { schemeOf } from "../../http/request/request-urls.js";
import type { TrustedProxies } from "../../http/request/trusted-proxies.js";
import type { Relay } from "../../relay/relay.js";
import { randomId } from "../../relay/token.js";
import { connectRpc } from "../../rpc/leg/leg-rpc.js";
import { credentialsOf } from "../credentials.js";
import { answerFailure, answerPlainly } from "../failure-answer.js";
import { type CheckedGatewayOptions, visitPath } from "../gateway-options.js";
import { type GatewayTarget, hostOfNames } from "../gateway-target.js";
import { isNavigation, isOfOwnOrigin, isOfOwnSite } from "./own-site.js";
import { cookieIn, setCookie, type VisitCookie } from "./visit-cookie.js";
import { linkLifeMs, VisitLinks } from "./visit-links.js";
import { type ShownName, showFirstPage, showLinkPage, showUsedLinkPage } from "./visit-page.js";
import { firstVisit, isBelow, type NamePlace, placeOf, type VisitRoute, visitRoute } from "./visit-route.js";

/** A visitor is let in for a day, or for as long as the grant of the link's maker if that ends sooner. */
const visitLifeMs = 86_400_000;
/** Browsers take cookies of 4,096 bytes with their attributes and their name. */
const maxGrantCharacters = 3_000;

export interface VisitsInit {
  options: CheckedGatewayOptions;
  isOwnHost: (host: string) => boolean;
  proxies: TrustedProxies;
}

/** A visitor that a cookie has let in. */
export interface Visitor {
  admitted: Admitted;
  cookie: string;
}

/**
 * Browsers that cannot send an access token: the links that let them in, their cookies, and the page before the first
 * visit.
 */
export class Visits {
  readonly #relay: Relay;
  readonly #init: VisitsInit;
  readonly #links: VisitLinks;

  constructor(relay: Relay, init: VisitsInit) {
    this.#relay = relay;
    this.#init = init;
    this.#links = new VisitLinks(relay.clock, relay.admission.grants);
  }

  /** Tells what of the gateway's own a request is for; undefined if it is for nothing of it. */
  routeOf(request: NodeRequest | IncomingMessage): VisitRoute | undefined {
    const { options, isOwnHost } = this.#init;
    return visitRoute(request, options, isOwnHost);
  }

  /** Serves a request that {@link routeOf} has found a route for. Never throws. */
  handle(route: VisitRoute, request: NodeRequest, response: NodeResponse): void {
    const { rest, isAtName } = route;
    const place = placeOf(route, this.#init.options, schemeOf(request, this.#init.proxies));
    const allowed = rest === "" || rest === firstVisit ? ["POST"] : ["GET", "HEAD", "POST"];
    const hasLinks = this.#relay.admission.hasPolicy || rest === firstVisit;
    if (place === undefined || !hasLinks || (rest !== "" && !isAtName)) {
      return answerPlainly(request, response, 404, "There is nothing here.");
    }
    if (!allowed.includes(request.method ?? "")) {
      response.setHeader("allow", allowed.join(", "));
      return answerPlainly(request, response, 405, "The method is not served here.");
    }
    if (rest === "") return void this.#makeLink(route, place, request, response);
    if (request.method !== "POST") return this.#showLink(route, place, response);
    // A page of another site may not press the button.
    if (!isOfOwnOrigin(request, route.authority)) {
      return answerPlainly(request, response, 403, "Only the page with the button can do this.");
    }
    if (rest === firstVisit) this.#beginVisit(route, place, request, response);
    else this.#openLink(route, place, request, response);
  }

  /** Lets the caller of a request in if it has a cookie that counts; undefined if not. Throws FAILURE_LIMIT_REACHED. */
  visitorOf(
    { name, authority }: GatewayTarget,
    request: NodeRequest,
    caller: Caller,
    metadata: Readonly<Record<string, string>>,
  ): Visitor | undefined {
    const cookie = this.#cookieIn(request, "relay-visit");
    if (cookie === undefined || !isOfOwnSite(request, authority)) return undefined;
    const { signer, admission } = this.#relay;
    const idEnd = cookie.indexOf(".");
    const [visit, token] = [cookie.slice(0, idEnd), cookie.slice(idEnd + 1)];
    try {
      signer.verify("visit", visit, token, name);
    } catch {
      return undefined;
    }
    const claims = admission.grants.adopt("connect", signer.carriedBy(token))?.claims;
    if (claims === undefined || !admission.grants.holds(claims)) return undefined;
    return { admitted: admission.admitVisitor({ ...caller, claims, visit }, metadata), cookie };
  }

  /** Whether a browser goes to a name for the first time, and the operator wants it to be told where it goes. */
  isFirst(request: NodeRequest): boolean {
    const { interstitial } = this.#init.options;
    return interstitial === true && isNavigation(request) && this.#cookieIn(request, "relay-seen") === undefined;
  }

  /** Answers with the page before the first visit, whose button leads to what was asked for. */
  showFirst({ name, authority, path, prefix }: GatewayTarget, request: NodeRequest, response: NodeResponse): void {
    const mountPath = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/~/")));
    const to = new URLSearchParams({ to: prefix + path });
    const action = `${mountPath}${visitPath}${encodeURIComponent(name)}/${firstVisit}?${to}`;
    const url = `${schemeOf(request, this.#init.proxies)}://${authority}${prefix}/`;
    showFirstPage(response, { name, host: this.#relayHost(authority), url }, action);
  }

  /** Never rejects. */
  async #makeLink(route: VisitRoute, place: NamePlace, request: NodeRequest, response: NodeResponse): Promise<void> {
    const { admission } = this.#relay;
    const { name } = route;
    try {
      const caller = requestCaller(request, "gateway", this.#init.proxies);
      const hold = admission.hold(caller, { kind: "gateway call" });
      response.once("close", () => hold.release());
      const { token } = credentialsOf(request, true);
      const open = create(OpenSchema, { name, metadata: httpMetadata });
      const { caller: maker } = await connectRpc.admit(this.#relay, open, caller, token);
      // There is a policy, so there are claims.
      const claims = maker.claims as Claims;
      if (carriedGrantText({ name, claims }).length > maxGrantCharacters) throw largeGrantError();
      const code = this.#links.make(name, claims, callerKey(maker) ?? "");
      const mountPath = place.root === "/" ? "" : place.root.slice(0, place.root.lastIndexOf("/~/"));
      const url = `${place.origin}${mountPath}${visitPath}${encodeURIComponent(name)}/${code}`;
      response.statusCode = 201;
      response.setHeader("content-type", "application/json");
      response.setHeader("cache-control", "no-store");
      response.end(`${JSON.stringify({ url, expiresInMs: linkLifeMs })}\n`);
    } catch (reason) {
      answerFailure(request, response, StreamError.from(reason));
    }
  }

  #showLink(route: VisitRoute, place: NamePlace, response: NodeResponse): void {
    const { rest: code, name, prefix } = route;
    const shown = this.#shown(route, place);
    if (this.#links.has(code, name)) showLinkPage(response, shown, `${prefix}/${code}`);
    else showUsedLinkPage(response, shown);
  }

  #openLink(route: VisitRoute, place: NamePlace, request: NodeRequest, response: NodeResponse): void {
    const { rest: code, name } = route;
    const claims = this.#links.take(code, name);
    if (claims === undefined) return showUsedLinkPage(response, this.#shown(route, place));
    const { signer, admission } = this.#relay;
    const nowMs = Date.now();
    const current = admission.grants.current(claims);
    const expiresAtMs = Math.min(current.expiresAtMs ?? Number.POSITIVE_INFINITY, nowMs + visitLifeMs);
    const carried = carriedGrantText({ name, claims: { ...current, expiresAtMs } });
    const visit = randomId();
    const cookie = cookieInit(place, request, expiresAtMs - nowMs);
    response.setHeader("set-cookie", [
      setCookie("relay-visit", `${visit}.${signer.sign("visit", visit, name, carried)}`, cookie),
      setCookie("relay-seen", "1", cookie),
    ]);
    seeOther(request, response, place.root);
  }

  #beginVisit(route: VisitRoute, place: NamePlace, request: NodeRequest, response: NodeResponse): void {
    const to = route.query.get("to") ?? "";
    // The same name may be encoded in more than one way, and a cookie is for one of them.
    const asked = place.root === "/" ? "/" : /^.*?\/~\/[^/?]*\//.exec(to)?.[0];
    if (asked === undefined || !isBelow(asked, to) || !isRootOf(asked, place)) {
      return answerPlainly(request, response, 400, "The button leads nowhere.");
    }
    // The path of a cookie ends before a semicolon, so it leads to the name with that encoded.
    const root = asked.replaceAll(";", "%3B");
    response.setHeader(
      "set-cookie",
      setCookie("relay-seen", "1", cookieInit({ ...place, root }, request, visitLifeMs)),
    );
    seeOther(request, response, root + to.slice(asked.length));
  }

  #cookieIn(request: NodeRequest, cookie: VisitCookie): string | undefined {
    const { options, proxies } = this.#init;
    const isEncrypted = schemeOf(request, proxies) === "https";
    return cookieIn(request.headers.cookie, cookie, { isByHost: options.by === "host", isEncrypted });
  }

  #shown({ name, authority }: VisitRoute, { origin, root }: NamePlace): ShownName {
    return { name, host: this.#relayHost(authority), url: origin + root };
  }

  /** By host the relay is the host of all names, without the name. */
  #relayHost(authority: string): string {
    const { options } = this.#init;
    return options.by === "host" ? hostOfNames(authority, options.hosts) : authority;
  }
}

/** The scheme of the page with the button says whether the browser speaks TLS, which a proxy may have ended. */
function cookieInit({ root }: NamePlace, { headers }: NodeRequest, lifeMs: number) {
  const maxAgeSeconds = Math.max(0, Math.floor(lifeMs / 1_000));
  return { root, isEncrypted: headers.origin?.startsWith("https:") === true, maxAgeSeconds };
}

/** Whether two paths are the same when the name in them is decoded. */
function isRootOf(root: string, place: NamePlace): boolean {
  try {
    return decodeURIComponent(root) === decodeURIComponent(place.root);
  } catch {
    return false;
  }
}

function seeOther(request: NodeRequest, response: NodeResponse, location: string): void {
  response.setHeader("location", location);
  response.setHeader("referrer-policy", "strict-origin");
  answerPlainly(request, response, 303, "This way.");
}

function largeGrantError(): StreamError {
  const message = "the facts of the access token are too large for the cookie of a visitor";
  return new StreamError(message, { failure: Failure.NOT_PERMITTED, code: Code.FailedPrecondition });
}
