import type { Linear } from './linear.ts'

/** Matrices of one width below each other; all but the last have `each` rows. */
export function stackedLinear(bands: readonly Linear[], each: number): Linear {
  if (bands.length === 1) return bands[0]
  const sum = (of: (band: Linear) => number) => bands.reduce((total, band) => total + of(band), 0)
  return {
    rows: sum(band => band.rows),
    cols: bands[0].cols,
    multiplyAdds: sum(band => band.multiplyAdds),
    bytes: sum(band => band.bytes),
    apply(x, y, ldy, tokens, accumulate) {
      for (const [b, band] of bands.entries()) band.apply(x, y + 4 * b * each, ldy, tokens, accumulate)
    },
    row: (index, out, factor) => bands[Math.floor(index / each)].row(index % each, out, factor),
    dispose() {
      for (const band of bands) band.dispose()
    },
  }
}
