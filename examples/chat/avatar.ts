/** Multiples of it, in degrees, fall far from each other. */
const goldenAngle = 137.508;

/** Marks an element with the initial of a person, and a colour to go with it. */
export function setAvatar(element: HTMLElement, label: string): void {
  const initial = Array.from(label)[0]?.toUpperCase() ?? "?";
  element.textContent = initial;
  element.style.setProperty("--hue", String(Math.round(((initial.codePointAt(0) ?? 0) * goldenAngle) % 360)));
}
