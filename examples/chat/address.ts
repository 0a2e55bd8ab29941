import { recall, remember } from "./memory.js";

/*
 * The page's own address names a room and a relay. The name of a room is in the fragment, which browsers keep to
 * themselves: it reaches no server but the relay, inside the protocol.
 */
const roomKey = "room";
const relayKey = "relay";
const hostingKey = "hosting";

/** Where the relay is: beside the page, or where `?relay=` says. */
export function relayAddress(): URL {
  const given = new URLSearchParams(location.search).get(relayKey);
  if (given === null || !URL.canParse(given, location.href)) return new URL(".", location.href);
  return new URL(given, location.href);
}

export function roomInAddress(): string | undefined {
  return roomIn(new URL(location.href));
}

/** The address to share. It keeps `?relay=`, because a room is where its relay is. */
export function roomLink(name: string): string {
  const link = new URL(location.href);
  link.hash = `${roomKey}=${encodeURIComponent(name)}`;
  return link.href;
}

/** People copy from the address bar, so the link stands there too, in the host's tab as well. */
export function showInAddress(name: string | undefined): void {
  const bare = new URL(location.href);
  bare.hash = "";
  history.replaceState(null, "", name === undefined ? bare.href.replace(/#$/, "") : roomLink(name));
}

/** The room that this tab holds, so that the host's tab opens it again when it is loaded again. */
export function hostedRoom(): string | undefined {
  return recall("tab", hostingKey);
}

export function rememberHosting(name: string | undefined): void {
  remember("tab", hostingKey, name);
}

/** A room that a person has named: by its name, or by a link, which may lead to another page or another relay. */
export type RoomGiven =
  | { kind: "here"; name: string }
  | { kind: "elsewhere"; link: URL; name: string }
  | { kind: "none" };

/** Understands the name of a room, a link to one, and a message that contains a link to one. */
export function readRoom(text: string): RoomGiven {
  const trimmed = text.trim();
  const link = linkIn(trimmed);
  // Half of a character can stand in no link.
  if (link === undefined) return /^$|\p{Cs}/u.test(trimmed) ? { kind: "none" } : { kind: "here", name: trimmed };
  const name = roomIn(link);
  if (name === undefined) return { kind: "none" };
  return pageOf(link) === pageOf(new URL(location.href)) ? { kind: "here", name } : { kind: "elsewhere", link, name };
}

function linkIn(text: string): URL | undefined {
  const word = text.split(/\s+/).find((each) => /^[<("']*https?:\/\//i.test(each) || each.includes(`#${roomKey}=`));
  if (word === undefined) return undefined;
  // Around a link that stands in brackets or in a sentence there are marks; a link that stands alone is taken as it is.
  const isAlone = word === text && !/^[<("']/.test(word);
  const bare = isAlone ? word : word.replace(/^[<("']+|[>)"'.,;:!?]+$/g, "");
  // Browsers show addresses without a scheme, and people copy them by hand.
  const whole = bare.startsWith("#") || /^[a-z]+:\/\//i.test(bare) ? bare : `${location.protocol}//${bare}`;
  if (!URL.canParse(whole, location.href)) return undefined;
  const link = new URL(whole, location.href);
  return link.protocol === "http:" || link.protocol === "https:" ? link : undefined;
}

function roomIn({ hash }: URL): string | undefined {
  return new URLSearchParams(hash.slice(1)).get(roomKey)?.trim() || undefined;
}

function pageOf({ origin, pathname, search }: URL): string {
  return origin + pathname.replace(/index\.html$/, "") + search;
}
