/** Bytes in the largest unit that leaves a digit before the point: `1.07 MB`. */
export function bytesText(bytes: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (bytes >= size)
      return `${(bytes / size).toFixed(bytes >= 100 * size ? 0 : bytes >= 10 * size ? 1 : 2)} ${unit}`
  }
  return `${bytes} bytes`
}

/** `0.0110` → `1.10 %`. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`
