import type { Matrix } from '@reallm/tensor-io'

/** Beam search over added codewords, given the products of targets and codewords with all codewords: codes `[n, count]`. */
export function beamSearch(
  similar: Matrix,
  products: Matrix,
  norms: Float32Array,
  { count, size, beam }: { readonly count: number; readonly size: number; readonly beam: number },
): Uint16Array {
  const codes = new Uint16Array(similar.rows * count)
  for (let i = 0; i < similar.rows; i++) {
    let hypotheses: { distance: number; path: number[] }[] = [{ distance: 0, path: [] }]
    for (let m = 0; m < count; m++) {
      const next: typeof hypotheses = []
      for (const { distance, path } of hypotheses) {
        for (let k = 0; k < size; k++) {
          const word = m * size + k
          // ‖x − Σ c‖² without ‖x‖²: each codeword adds ‖c‖² − 2xc and twice its products with those before.
          let d = distance + norms[word] - 2 * similar.data[i * similar.cols + word]
          for (const [j, code] of path.entries())
            d += 2 * products.data[(j * size + code) * products.cols + word]
          if (next.length === beam && d >= next[beam - 1].distance) continue
          const place = next.findIndex(other => other.distance > d)
          next.splice(place < 0 ? next.length : place, 0, { distance: d, path: [...path, k] })
          if (next.length > beam) next.pop()
        }
      }
      hypotheses = next
    }
    codes.set(hypotheses[0].path, i * count)
  }
  return codes
}
