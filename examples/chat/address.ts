/**
 * What the page's own address says. The name of a room is in the fragment, which browsers keep to themselves: it reaches no
 * server but the relay, inside the protocol.
 */
const roomKey = "room";
const relayKey = "relay";

/** Where the relay is: beside the page, or where `?relay=` says. */
export function relayAddress(): URL {
  const given = new URLSearchParams(location.search).get(relayKey);
  if (given === null || !URL.canParse(given, location.href)) return new URL(".", location.href);
  return new URL(given, location.href);
}

export function roomInAddress(): string | undefined {
  return new URLSearchParams(location.hash.slice(1)).get(roomKey)?.trim() || undefined;
}

/** The address to share. It keeps `?relay=`: a room is where its relay is. */
export function roomLink(name: string): string {
  const link = new URL(location.href);
  link.hash = `${roomKey}=${encodeURIComponent(name)}`;
  return link.href;
}

/** What is in the address bar is what people copy, so it is the link, in the host's tab too. */
export function showInAddress(name: string | undefined): void {
  const bare = new URL(location.href);
  bare.hash = "";
  history.replaceState(null, "", name === undefined ? bare.href.replace(/#$/, "") : roomLink(name));
}

const hostingKey = "hosting";

/** The room that this tab holds, so that the host's tab opens it again when it is loaded again. */
export function hostedRoom(): string | undefined {
  return sessionStorage.getItem(hostingKey) ?? undefined;
}

export function rememberHosting(name: string | undefined): void {
  if (name === undefined) sessionStorage.removeItem(hostingKey);
  else sessionStorage.setItem(hostingKey, name);
}
