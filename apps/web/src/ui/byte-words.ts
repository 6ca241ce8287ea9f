const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** `1536` as "1.5 KB"; units of 1024. */
export function byteWords(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : Number(value.toFixed(1))} ${UNITS[power]}`;
}
