import { encode } from "uqr";

const svgNamespace = "http://www.w3.org/2000/svg";
/** Readers need a margin of four modules around the code. */
const quietModules = 4;

/** Draws a text as a QR code into an `<svg>`. Returns false if the text is too long for one. */
export function drawQrCode(svg: SVGSVGElement, text: string): boolean {
  try {
    const { data, size } = encode(text, { border: quietModules });
    const path = document.createElementNS(svgNamespace, "path");
    const modules = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
    path.setAttribute("d", modules.join(""));
    svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
    svg.replaceChildren(path);
    return true;
  } catch {
    return false;
  }
}
