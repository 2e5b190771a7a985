/** Parts that the keys of a text are split into at most. */
export const MOST_PARTS = 64

/** How the keys of a text are split: one token has few heads, so that parts keep the device busy. */
export function partsOf(positions: number, tokens: number): { count: number; keys: number } {
  if (tokens > 1) return { count: 1, keys: 2 ** 30 }
  const keys = Math.max(64, 32 * Math.ceil(positions / MOST_PARTS / 32))
  return { count: Math.ceil(positions / keys), keys }
}
