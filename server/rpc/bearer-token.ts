/** Returns the access token of an `Authorization` header. Empty for a header that holds none. RFC 6750, section 2.1. */
export function bearerToken(authorization: string | null | undefined): string {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "";
}
