const unitsOfBytes = ["B", "KiB", "MiB", "GiB", "TiB"];
const stepOfUnits = 1_024;

/** Bytes for a person: "1.5 MiB". */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= stepOfUnits && unit < unitsOfBytes.length - 1) {
    amount /= stepOfUnits;
    unit += 1;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${unitsOfBytes[unit]}`;
}

/** A duration for a person: "1:02:03", "0:07". */
export function formatDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1_000);
  const twoDigits = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const tail = twoDigits(seconds % 60);
  return hours > 0 ? `${hours}:${twoDigits(minutes)}:${tail}` : `${minutes}:${tail}`;
}
