import {
  type CodecWrapper,
  checkParts,
  type EncodedMatrix,
  type MatrixCodec,
  matrix,
  prefixed,
  tensor,
  unpackBits,
} from '@reallm/tensor-io'
import { z } from 'zod'

/** Rows of 8-bit codes with a scale each: the smallest codec that can read rows alone. Counts its decodings. */
export const rowGrid = {
  name: 'row-grid',
  params: z.object({ bits: z.literal(8) }),
  decoded: [] as string[],
  cost: ([rows, cols]) => ({
    codes: { dtype: 'U8', shape: [rows, cols] },
    scales: { dtype: 'F32', shape: [rows] },
  }),
  async encode(w, params) {
    const codes = new Uint8Array(w.rows * w.cols)
    const scales = new Float32Array(w.rows)
    for (let r = 0; r < w.rows; r++) {
      const row = w.data.subarray(r * w.cols, (r + 1) * w.cols)
      scales[r] = Math.max(...row.map(Math.abs)) / 127
      row.forEach((v, c) => {
        codes[r * w.cols + c] = Math.round(v / scales[r]) + 128
      })
    }
    const parts = { codes: tensor('U8', [w.rows, w.cols], codes), scales: tensor('F32', [w.rows], scales) }
    return { codec: 'row-grid', params, shape: [w.rows, w.cols], parts }
  },
  decode(e) {
    return this.decodeRows!(e, 0, e.shape[0])
  },
  decodeRows(e, from, to) {
    this.decoded.push(`${from}–${to}`)
    checkParts(e, this.cost(e.shape, { bits: 8 }))
    const cols = e.shape[1]
    const codes = unpackBits(e.parts.codes.data as Uint8Array, 8, (to - from) * cols, from * cols)
    const scales = e.parts.scales.data as Float32Array
    const values = Array.from(codes, (code, i) => (code - 128) * scales[from + Math.floor(i / cols)])
    return matrix(values, [to - from, cols])
  },
} satisfies MatrixCodec<{ bits: 8 }> & { decoded: string[] } as MatrixCodec & { decoded: string[] }

/** Stores the negative; cannot read rows alone. */
export const negated: CodecWrapper = {
  name: 'negated',
  wrap(inner): MatrixCodec {
    const minus = (e: EncodedMatrix) => {
      const { rows, cols, data } = inner.decode(e.inner!)
      return { rows, cols, data: data.map(v => -v * (e.parts.sign.data as Int8Array)[0]) }
    }
    return {
      name: 'negated',
      params: z.unknown(),
      cost: (shape, params) => ({
        sign: { dtype: 'I8', shape: [1] },
        ...prefixed(inner.cost(shape, params)),
      }),
      async encode(w, params, ctx) {
        const flipped = { ...w, data: w.data.map(v => -v) }
        const sign = tensor('I8', [1], Int8Array.of(1))
        const stored = await inner.encode(flipped, params, ctx)
        return { codec: 'negated', params: {}, shape: [w.rows, w.cols], parts: { sign }, inner: stored }
      },
      decode: minus,
    }
  },
}
