const units = ["B", "KB", "MB", "GB", "TB"] as const;
const step = 1000;

/** A number of bytes for a person: 999 B, 1.2 MB, 34 MB. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= step && unit < units.length - 1) {
    value /= step;
    unit += 1;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })} ${units[unit]}`;
}

/** How far a transfer is: 12 of 64 MB · 19% · 8.2 MB/s. */
export function formatProgress(bytes: number, sizeBytes: number, bytesPerSecond: number): string {
  const percent = sizeBytes === 0 ? 100 : Math.floor((bytes / sizeBytes) * 100);
  const parts = [`${formatBytes(bytes)} of ${formatBytes(sizeBytes)}`, `${percent}%`];
  if (bytesPerSecond > 0) parts.push(`${formatBytes(bytesPerSecond)}/s`);
  return parts.join(" · ");
}
