import { findChromium } from "../../setup/chromium.ts";
import { findFirefox } from "../../setup/firefox.ts";
import { findMiniBrowser, findWebKitDriver, findXvfb } from "../../setup/webkit.ts";
import type { DebianProgram } from "./debian-program.ts";

/** The programs of Debian that give the tests their tabs, of each engine. */
export const enginePrograms: readonly DebianProgram[] = [
  { name: "chromium", find: findChromium },
  { name: "firefox-esr", find: findFirefox },
  { name: "WebKitWebDriver", packages: ["webkit2gtk-driver"], find: findWebKitDriver },
  // Comes with the library that the driver depends on.
  { name: "MiniBrowser", packages: ["libwebkit2gtk-4.1-0"], find: findMiniBrowser },
  { name: "Xvfb", packages: ["xvfb"], find: findXvfb },
];
