import { existsSync } from "node:fs";

/** The links of a page to headings and files that do not exist. Links to files are relative to `base`. */
export function brokenLinks(page: string, base: URL): string[] {
  const text = page.replaceAll(/^```.*?^```$/gms, "");
  const anchors = new Set([...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => `#${anchorOf(heading)}`));
  const targets = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => {
    if (target.startsWith("#")) return !anchors.has(target);
    return !target.includes("://") && !existsSync(new URL(target, base));
  });
}

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}
