import { autoencoder } from '@reallm/autoencoder'
import { rowScaled, withRowScales } from '@reallm/finetune'
import { lowrank, lplrCodec, monarchCodec, plusLowRank, plusMonarch } from '@reallm/lowrank'
import {
  type EncodeContext,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  matrix,
  random,
} from '@reallm/tensor-io'
import { mutations } from '@reallm/tensor-io/conformance'
import { grid, kmeans, normalfloat, rotated, trellis, trellisBands } from '@reallm/vq'
import { describe, expect, it } from 'vitest'
import { Activations, Engine } from '../../runtime/src/backend/wasm/engine.ts'
import { encodedLinear, isKnown } from '../../runtime/src/backend/wasm/linear/encoded.ts'
import { floatWriter } from '../../runtime/src/backend/wasm/linear/float.ts'
import { integerWriter } from '../../runtime/src/backend/wasm/linear/integer.ts'

const [ROWS, COLS, TOKENS] = [76, 96, 3]
const engine = await Engine.start({})
const { normal } = random(5)
const w = matrix(Float32Array.from({ length: ROWS * COLS }, normal), [ROWS, COLS])
const input = Float32Array.from({ length: TOKENS * COLS }, normal)

const factors = Float32Array.from({ length: ROWS }, (_, r) => 0.5 + r / 64)
const cases: [string, MatrixCodec<never>, object][] = [
  ['uniform grid', grid, { bits: 3, group: 32 }],
  ['grid with zero points', grid, { bits: 4, group: 48, symmetric: false, scales: 'double' }],
  ['grid, one scale per row', grid, { bits: 2, group: 'row', scales: 'f32' }],
  ['normalfloat', normalfloat, { bits: 4, group: 32 }],
  ['k-means', kmeans, { bits: 2, dim: 4, group: 32 }],
  ['trellis at a fractional rate', trellis, { bits: 2.5, stateBits: 8, scale: 'row' }],
  ['trellis, two segments', trellis, { bits: 2.375, stateBits: 8 }],
  ['trellis of another state length', trellis, { bits: 2, stateBits: 9 }],
  ['trellis, network', trellis, { bits: 2.25, stateBits: 9, values: 'network', hidden: 4 }],
  ['trellis in bands of rows', trellisBands, { bits: [3, 2.25], rows: 64, stateBits: 8 }],
  ['rotated trellis', rotated(trellis), { inner: { bits: 3, stateBits: 8 } }],
  ['rotated input only', rotated(grid), { output: false, inner: { bits: 4 } }],
  [
    'row factors on a grid',
    {
      ...rowScaled.wrap(grid as MatrixCodec),
      encode: async (m: Matrix, p: object, ctx: EncodeContext) =>
        withRowScales(await grid.encode(m, p as never, ctx), factors),
    },
    { bits: 4 },
  ],
  ['autoencoder', autoencoder, { patch: 32, latentWidth: 3, latentBits: 2, steps: 2 }],
  ['low rank', lowrank, { rank: 6, bits: 8 }],
  ['LPLR', lplrCodec, { rank: 6, leftBits: 4, rightBits: 3 }],
  ['Monarch', monarchCodec, { rank: 2, bits: 8 }],
  ['Monarch of uneven blocks', monarchCodec, { rank: 1, inBlocks: 16, outBlocks: 2 }],
  ['Monarch + grid', plusMonarch({ rounds: 1 }, grid), { inner: { bits: 2, group: 32 } }],
  [
    'low rank + rotated trellis',
    plusLowRank({ rank: 3, bits: 16, rounds: 1 }, rotated(trellis)),
    { inner: { inner: { bits: 2, stateBits: 8 } } },
  ],
] as never

function product(m: Matrix): Float32Array {
  return Float32Array.from({ length: TOKENS * ROWS }, (_, i) => {
    const [t, r] = [Math.floor(i / ROWS), i % ROWS]
    let sum = 0
    for (let c = 0; c < COLS; c++) sum += m.data[r * COLS + c] * input[t * COLS + c]
    return sum
  })
}

function expectClose(got: Float32Array, want: Float32Array, tolerance: number): void {
  const error = Math.hypot(...got.map((v, i) => v - want[i]))
  expect(error / Math.hypot(...want)).toBeLessThan(tolerance)
}

describe.each(cases)('%s', async (_, codec, params) => {
  const stored = (await codec.encode(w, params as never, { seed: 1 })) as EncodedMatrix
  const decoded = codec.decode(stored)
  const wanted = product(decoded)

  it.each([
    // Packed trellis codes meet inputs on 16 bits, as expanded ones do.
    ['packed', 'f32', /trellis/.test(_) ? 5e-5 : 1e-5],
    ['written', 'f32', 1e-5],
    ['exact', 'integers', 1e-3],
  ] as const)('%s (%s) multiplies and looks rows up as its codec decodes', async (form, kind, tolerance) => {
    expect(isKnown(stored)).toBe(true)
    const before = engine.arena.used
    const writer = (rows: number, cols: number) =>
      kind === 'f32' ? floatWriter(engine, rows, cols) : integerWriter(engine, rows, cols, 2)
    const linear = await encodedLinear(engine, stored, { form, writer })
    const x = new Activations(engine, COLS)
    engine.arena.floats(x.at, input.length).set(input)
    const y = engine.allocateFloats(TOKENS * (ROWS + 8))
    engine.arena.floats(y, TOKENS * (ROWS + 8)).fill(1)
    linear.apply(x, y, ROWS + 8, TOKENS, true)
    const out = engine.arena.floats(y, TOKENS * (ROWS + 8))
    const got = wanted.map((_, i) => out[Math.floor(i / ROWS) * (ROWS + 8) + (i % ROWS)] - 1)
    expectClose(got, wanted, tolerance)
    expect(out[ROWS]).toBe(1)

    if (!/rotated trellis/.test(_)) {
      linear.row(7, y, 2)
      const row = decoded.data.slice(7 * COLS, 8 * COLS).map(v => 2 * v)
      expectClose(engine.arena.floats(y, COLS).slice(), row, tolerance)
    }
    expect(linear.bytes).toBeGreaterThan(0)
    const structured = ['lowrank', 'rom', 'lplr', 'monarch'].includes(stored.codec)
    expect(linear.multiplyAdds < ROWS * COLS).toBe(structured)
    linear.dispose()
    expect(engine.arena.used).toBeGreaterThan(before)
  })

  it('is refused by the sentence of its codec when anything about it was altered', async () => {
    const writer = (rows: number, cols: number) => floatWriter(engine, rows, cols)
    for (const { what, matrix } of mutations(stored)) {
      const message = refusalOf(() => codec.decode(matrix))
      for (const form of ['packed', 'exact', 'written'] as const) {
        await expect(encodedLinear(engine, matrix, { form, writer }), what).rejects.toThrow(
          expect.objectContaining({ name: 'ReallmError', message }),
        )
      }
    }
  })
})

function refusalOf(decode: () => unknown): string {
  try {
    decode()
  } catch (error) {
    return (error as Error).message
  }
  return 'the codec accepts it'
}

it('refuses rates that do not fit the codes of a trellis, or that its states cannot code', async () => {
  const stored = await trellis.encode(w, { bits: 2, stateBits: 8 }, { seed: 1 })
  for (const rate of [7, 9, 24]) {
    const rates = { ...stored.parts.rates, data: new Uint8Array(stored.parts.rates.data.length).fill(rate) }
    const altered = { ...stored, parts: { ...stored.parts, rates } } as EncodedMatrix
    const message = refusalOf(() => trellis.decode(altered))
    expect(message).toContain('the part rates does not fit the codes')
    const form = {
      form: 'packed',
      writer: (rows: number, cols: number) => floatWriter(engine, rows, cols),
    } as const
    await expect(encodedLinear(engine, altered, form)).rejects.toThrow(message)
  }
})

it('leaves codecs it does not know to a registry', () => {
  expect(
    isKnown({
      codec: 'rotation',
      inner: { codec: 'mine' },
    }),
  ).toBe(false)
})
