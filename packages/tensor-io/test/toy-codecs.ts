import {
  type CodecWrapper,
  defineCodec,
  type Fields,
  type MatrixCodec,
  matrix,
  type StoredLayout,
  tensor,
  unpackBits,
} from '@reallm/tensor-io'

const rowGridParams = { bits: { of: [8] } } as const satisfies Fields
const rowGridLayout: StoredLayout<typeof rowGridParams> = {
  codec: 'row-grid',
  params: rowGridParams,
  parts: ([rows, cols]) => ({
    codes: { dtype: 'U8', shape: [rows, cols] },
    scales: { dtype: 'F32', shape: [rows] },
  }),
}

const decoded: string[] = []

/** Rows of 8-bit codes with a scale each: the smallest codec that can read rows alone. Counts its decodings. */
export const rowGrid: MatrixCodec<{ bits: 8 }> & { readonly decoded: string[] } = {
  decoded,
  ...defineCodec({
    layout: rowGridLayout,
    async encode(w) {
      const codes = new Uint8Array(w.rows * w.cols)
      const scales = new Float32Array(w.rows)
      for (let r = 0; r < w.rows; r++) {
        const row = w.data.subarray(r * w.cols, (r + 1) * w.cols)
        scales[r] = Math.max(...row.map(Math.abs)) / 127
        row.forEach((v, c) => {
          codes[r * w.cols + c] = Math.round(v / scales[r]) + 128
        })
      }
      return {
        parts: { codes: tensor('U8', [w.rows, w.cols], codes), scales: tensor('F32', [w.rows], scales) },
      }
    },
    decode: e => rowGrid.decodeRows!(e, 0, e.shape[0]),
    decodeRows({ parts, shape: [, cols] }, _, from, to) {
      decoded.push(`${from}–${to}`)
      const codes = unpackBits(parts.codes.data as Uint8Array, 8, (to - from) * cols, from * cols)
      const scales = parts.scales.data as Float32Array
      const values = Array.from(codes, (code, i) => (code - 128) * scales[from + Math.floor(i / cols)])
      return matrix(values, [to - from, cols])
    },
  }),
}

const negatedLayout: StoredLayout = {
  codec: 'negated',
  wraps: true,
  params: {},
  parts: () => ({ sign: { dtype: 'I8', shape: [1] } }),
}

/** Stores the negative; cannot read rows alone. */
export const negated: CodecWrapper = {
  layout: negatedLayout,
  wrap: inner =>
    defineCodec({
      layout: negatedLayout,
      inner,
      async encode(w, p, ctx) {
        const flipped = { ...w, data: w.data.map(v => -v) }
        const sign = tensor('I8', [1], Int8Array.of(1))
        return { parts: { sign }, inner: await inner.encode(flipped, p.inner, ctx) }
      },
      decode(e, wrapped) {
        const { rows, cols, data } = inner.decode(wrapped)
        return { rows, cols, data: data.map(v => -v * (e.parts.sign.data as Int8Array)[0]) }
      },
    }),
}
