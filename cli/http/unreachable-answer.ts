const words = {
  502: "The server behind this name cannot be reached: it does not run, or has broken the connection.",
  504: "The server behind this name takes no connection.",
};

/** Answers for a local server that is away: in plain text, or as a page for a person. Says nothing of where it is. */
export function unreachableAnswer(request: Request, status: keyof typeof words): Response {
  const isForPerson = /\btext\/html\b/i.test(request.headers.get("accept") ?? "");
  const headers = {
    "content-type": `text/${isForPerson ? "html" : "plain"}; charset=utf-8`,
    "cache-control": "no-store",
    "retry-after": "2",
  };
  const head = `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${status}</title>\n`;
  const page = `${head}<h1>${status}</h1>\n<p>${words[status]}</p>\n`;
  return new Response(isForPerson ? page : `${words[status]}\n`, { status, headers });
}
