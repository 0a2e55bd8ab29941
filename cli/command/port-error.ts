/** The place that a server was to listen at; without a host, all interfaces. */
interface Place {
  host: string | undefined;
  port: number;
}

/** The options that name the place. */
interface PlaceOptions {
  host: string;
  port: string;
}

/** Says in a sentence why a server cannot listen where it was told to; other errors stay as they are. */
export function portError(
  cause: unknown,
  { host, port }: Place,
  options: PlaceOptions = { host: "--host", port: "--port" },
): unknown {
  const sentence = sentenceOf((cause as NodeJS.ErrnoException).code, host ?? "all interfaces", port, options);
  return sentence === undefined ? cause : new Error(sentence, { cause });
}

function sentenceOf(code: string | undefined, host: string, port: number, options: PlaceOptions): string | undefined {
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} of ${host} is in use: ${options.port} takes another one, or 0 for any that is free`;
    case "EACCES":
      return `port ${port} of ${host} is not for this user: ${options.port} takes one above 1023`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EINVAL":
      return `${options.host} takes an address of this machine, and ${JSON.stringify(host)} is none`;
    default:
      return undefined;
  }
}
