/** `0.0110` → `1.10 %`. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`
