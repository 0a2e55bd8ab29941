import { capnweb } from "./capnweb.js";
import { graphql } from "./graphql.js";
import type { Library } from "./library.js";
import { trpc } from "./trpc.js";
import { yjs } from "./yjs.js";

export const libraries: readonly Library[] = [capnweb, trpc, yjs, graphql];
