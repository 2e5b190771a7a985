import { type EncodedMatrix, tensor } from '@reallm/tensor-io'
import { trellisWords } from '@reallm/tensor-io/layouts/trellis-segments'

/** A trellis code of two rates. */
export function trellisOf(rows: number, cols: number, word: (i: number) => number): EncodedMatrix {
  const bits = 2.5 + 2 / cols
  const tiles = cols / 16
  const rates = new Uint8Array(tiles).fill(10).fill(11, tiles - Math.round(4 * tiles * bits) + 10 * tiles)
  const words = Uint32Array.from({ length: trellisWords(rows, cols, bits) }, (_, i) => word(i))
  return {
    ...{ codec: 'trellis', params: { bits, stateBits: 10 }, shape: [rows, cols] },
    parts: {
      rates: tensor('U8', [tiles], rates),
      codes: tensor('U32', [words.length], words),
      scales: tensor('F32', [1, 1], Float32Array.of(1)),
    },
  }
}
