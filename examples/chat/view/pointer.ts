/** Whether the main pointer is a mouse or the like: then focus brings up no keyboard, and files can be dragged. */
export function hasFinePointer(): boolean {
  return matchMedia("(pointer: fine)").matches;
}
