import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const fromProject = createRequire(new URL("../package.json", import.meta.url));

/** The path of what the package exports, as a user's import by that name finds it: in `dist/`. */
export const exportedPath = (name: string): string => fromProject.resolve(name);

const load = (name: string) => import(pathToFileURL(exportedPath(name)).href);

/** The package as it was built, for Node. */
export const loadProduct = (): Promise<typeof import("../web/node.ts")> => load("browser-stream-server");

/** Its relay as it was built. */
export const loadServer = (): Promise<typeof import("../server/index.ts")> => load("browser-stream-server/server");

/** The part of the package that both Node and a page have. */
export type Product = Pick<
  typeof import("../web/index.ts"),
  "StreamServer" | "StreamClient" | "createWebSocketTransport"
>;
