/** Multiples of the golden angle, in degrees, fall far from each other. */
const goldenAngle = 137.508;
const characters = new Intl.Segmenter();

/** Marks an element with the initial of a person, and a colour that goes with the name. */
export function setAvatar(element: HTMLElement, name: string): void {
  const [first] = characters.segment(name);
  element.textContent = first?.segment.toUpperCase() ?? "?";
  const sum = Array.from(name).reduce((total, character) => total * 31 + (character.codePointAt(0) ?? 0), 7) % 997;
  element.style.setProperty("--hue", String(Math.round((sum * goldenAngle) % 360)));
}
