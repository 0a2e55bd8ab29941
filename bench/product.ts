import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const fromProject = createRequire(new URL("../package.json", import.meta.url));

/** The file in `dist/` that an import of this name finds, as it does for users of the package. */
export const exportedPath = (name: string): string => fromProject.resolve(name);

const load = (name: string) => import(pathToFileURL(exportedPath(name)).href);

/** Loads the built package for Node. */
export const loadProduct = (): Promise<typeof import("../web/node.ts")> => load("browser-stream-server");

/** Loads the built relay. */
export const loadServer = (): Promise<typeof import("../server/index.ts")> => load("browser-stream-server/server");

/** The part of the package that is there both in Node and in a page. */
export type Product = Pick<
  typeof import("../web/index.ts"),
  "StreamServer" | "StreamClient" | "createWebSocketTransport"
>;

/** Loads the built entry `./http` for Node. */
export const loadHttp = (): Promise<typeof import("../http/node.ts")> => load("browser-stream-server/http");

/** The part of the entry `./http` that is there both in Node and in a page. */
export type HttpProduct = Pick<typeof import("../http/index.ts"), "serve">;
