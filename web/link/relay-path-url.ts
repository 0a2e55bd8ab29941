/** Returns the URL of one of the relay's paths under its base URL, whose query is kept. */
export function relayPathUrl(baseUrl: string, path: string): URL {
  const url = new URL(baseUrl);
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  return url;
}
