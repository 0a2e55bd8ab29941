import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { NodeRequest, NodeResponse } from "../../server/http/node-server.js";

/** Content types by extension. A file of another one is bytes, which a browser saves. */
const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".md": "text/plain; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webm": "video/webm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};

/** The process, or the system, has no file descriptor left. */
const busyCodes = new Set<string | undefined>(["EMFILE", "ENFILE"]);

/** A pipe in the folder must not keep its reader until somebody writes. Windows has no such flag, and no such pipes. */
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Serves the files of a folder while somebody works on them: each request reads the disk. Hidden files, and folders
 * without an index.html, are not found.
 */
export function servePageFolder(folder: string): (request: NodeRequest, response: NodeResponse) => void {
  return (request, response) => void answer(folder, request, response).catch(() => response.destroy());
}

async function answer(folder: string, request: NodeRequest, response: NodeResponse): Promise<void> {
  const [path = "", ...query] = (request.url ?? "").split("?");
  const isGet = request.method === "GET";
  if (!isGet && request.method !== "HEAD") return end(response, 405, { allow: "GET, HEAD" });
  const parts = partsOf(path);
  if (parts === undefined) return end(response, 404);
  const isFolder = parts.at(-1) === "";
  const name = join(folder, ...parts, ...(isFolder ? ["index.html"] : []));
  const file = await open(name, openFlags).catch((reason: NodeJS.ErrnoException) => reason);
  if (file instanceof Error) return end(response, busyCodes.has(file.code) ? 503 : 404);
  try {
    const stats = await file.stat();
    if (stats.isDirectory() && !isFolder) {
      // Relative, so that it leads to this server whatever its path; `//host` would lead to another one.
      const location = [`./${encodeURIComponent(parts.at(-1) ?? "")}/`, ...query].join("?");
      return end(response, 308, { location });
    }
    if (!stats.isFile()) return end(response, 404);
    const etag = `W/"${stats.size}-${stats.mtimeMs}"`;
    response.setHeader("etag", etag);
    response.setHeader("cache-control", "no-cache");
    if (request.headers["if-none-match"] === etag) return end(response, 304);
    const type = contentTypes[extname(name).toLowerCase()] ?? "application/octet-stream";
    response.setHeader("content-type", type);
    response.statusCode = 200;
    if (isGet) await send(file, response);
    else response.end();
  } finally {
    await file.close();
  }
}

/**
 * The names in a URL's path, the last one empty for a folder. Undefined for what is no path, or leads to a hidden file.
 */
function partsOf(path: string): string[] | undefined {
  try {
    const parts = path.split("/").slice(1).map(decodeURIComponent);
    const isRefused = (part: string) => part.startsWith(".") || /[/\\\0:]/.test(part);
    return parts.length === 0 || parts.some(isRefused) || parts.slice(0, -1).includes("") ? undefined : parts;
  } catch {
    return undefined;
  }
}

/** Sends a file without a length, because it may grow or shrink while it is read. */
async function send(file: FileHandle, response: NodeResponse): Promise<void> {
  await pipeline(file.createReadStream({ autoClose: false }), response);
}

function end(response: NodeResponse, status: number, headers: Record<string, string> = {}): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = status;
  response.end();
}
