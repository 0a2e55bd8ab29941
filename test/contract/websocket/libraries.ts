import { capnweb } from "./capnweb.js";
import type { Library } from "./library.js";

export const libraries: readonly Library[] = [capnweb];
