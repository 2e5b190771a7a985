import { random } from '@reallm/tensor-io'
import { describe, expect, it } from 'vitest'
import { factorMatrix, type HadamardFactor, hadamardPlan } from '../hadamard-plan.ts'
import {
  createInference,
  type Inference,
  type InferenceKernels,
  PAGE_POSITIONS,
  type Pointer,
  pageBytes,
} from './index.ts'

const reference = await createInference({ build: 'reference' })
const plain = await createInference({ build: 'plain' })
const threaded = await createInference({ build: 'plain', threads: 3 })

/** Memory with the same contents in all engines; runs an operation in each and returns the results. */
function run(
  inputs: readonly (readonly number[] | Float32Array)[],
  operation: (kernels: InferenceKernels, at: Pointer[], engine: Inference) => void,
  result: { input: number; bytes: number },
): Uint8Array[] {
  return [reference, plain, threaded].map((engine: Inference) => {
    const { arena, kernels } = engine
    const at = inputs.map(values => {
      const pointer = arena.allocate(4 * values.length)
      arena.floats(pointer, values.length).set(values)
      return pointer
    })
    operation(kernels, at, engine)
    const out = arena.bytes(at[result.input], result.bytes).slice()
    for (const pointer of at) arena.free(pointer)
    return out
  })
}

function close(
  [expected, ...others]: Uint8Array[],
  tolerance: number,
  view: (b: Uint8Array) => ArrayLike<number>,
) {
  const want = Array.from(view(expected))
  const top = Math.max(...want.map(Math.abs), 1e-30)
  for (const other of others) {
    const worst = Array.from(view(other)).reduce((w, v, i) => Math.max(w, Math.abs(v - want[i])), 0)
    expect(worst / top).toBeLessThanOrEqual(tolerance)
  }
  expect(others[1]).toEqual(others[0])
}

const floats = (b: Uint8Array) => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4)
const draws = random(7)
const normal = (n: number, scale = 1) => Float32Array.from({ length: n }, () => draws.normal() * scale)
const zeros = (n: number) => new Float32Array(n)

describe.each([
  { rows: 4, cols: 16, tokens: 1, group: 16, bytes: 1 },
  { rows: 7, cols: 72, tokens: 3, group: 64, bytes: 1 },
  { rows: 3, cols: 32, tokens: 1, group: 32, bytes: 1 },
  { rows: 54, cols: 100, tokens: 1, group: 48, bytes: 1 },
  { rows: 67, cols: 100, tokens: 1, group: 64, bytes: 2 },
  { rows: 33, cols: 100, tokens: 2, group: 48, bytes: 2 },
  { rows: 160, cols: 576, tokens: 5, group: 2048, bytes: 1 },
  { rows: 160, cols: 576, tokens: 5, group: 64, bytes: 2 },
])('products of $rows×$cols by $tokens tokens, groups of $group', ({ rows, cols, tokens, group, bytes }) => {
  const stride = Math.ceil(cols / 16) * 16
  const padded = Math.ceil(rows / 4) * 4
  const groups = Math.ceil(stride / group)
  const w = normal(rows * cols)
  const x = normal(tokens * cols)
  const ldy = rows + 1

  it.each([0, 1])('integers, accumulate %i', accumulate => {
    const results = run(
      [
        w,
        zeros((padded * stride) / 2),
        zeros(padded * groups),
        x,
        zeros((tokens * stride) / 2),
        zeros(tokens),
        normal(tokens * ldy),
      ],
      (k, [from, codes, scales, xs, q, qs, y]) => {
        k.quantiseWeights(from, codes, scales, 3, cols, stride, group, 0, bytes)
        k.quantiseWeights(from + 12 * cols, codes, scales, rows - 3, cols, stride, group, 3, bytes)
        k.quantiseActivations(xs, cols, q, qs, tokens, cols, stride)
        k.matmulInteger(codes, scales, q, qs, y, rows, stride, group, tokens, ldy, accumulate, bytes)
      },
      { input: 6, bytes: 4 * tokens * ldy },
    )
    close(results, 1e-5, floats)
    const exact = product(w, x, rows, cols, tokens)
    if (accumulate === 0) {
      const norm = Math.hypot(...exact)
      const error = exact.map((v, i) => v - floats(results[1])[Math.floor(i / rows) * ldy + (i % rows)])
      expect(Math.hypot(...error) / norm).toBeLessThan(bytes === 2 ? 4e-4 : 0.012)
    }
  })

  it('float', () => {
    const results = run(
      [w, zeros(padded * cols), x, normal(tokens * ldy)],
      (k, [from, packed, xs, y]) => {
        k.packFloats(from, packed, rows, cols, cols, 0)
        k.matmulFloat(packed, xs, cols, y, ldy, rows, cols, tokens, 1, 0.5)
      },
      { input: 3, bytes: 4 * tokens * ldy },
    )
    close(results, 1e-5, floats)
  })

  it('rows looked up', () => {
    const results = run(
      [w, zeros((padded * stride) / 2), zeros(padded * groups), zeros(padded * cols), zeros(2 * cols)],
      (k, [from, codes, scales, packed, out]) => {
        k.quantiseWeights(from, codes, scales, rows, cols, stride, group, 0, bytes)
        k.packFloats(from, packed, rows, cols, cols, 0)
        k.integerRow(codes, scales, rows - 1, out, cols, stride, group, 2, bytes)
        k.floatRow(packed, rows - 2, out + 4 * cols, cols, cols, 3)
      },
      { input: 4, bytes: 8 * cols },
    )
    close(results, 1e-6, floats)
  })
})

it('a product is no number where one of what it multiplies is none', () => {
  const [rows, cols, tokens] = [8, 32, 2]
  const x = normal(tokens * cols)
  x[cols + 21] = Number.NaN
  const results = run(
    [
      normal(rows * cols),
      zeros((rows * cols) / 4),
      zeros(rows),
      x,
      zeros((tokens * cols) / 2),
      zeros(tokens),
      zeros(tokens * rows),
    ],
    (k, [from, codes, scales, xs, q, qs, y]) => {
      k.quantiseWeights(from, codes, scales, rows, cols, cols, cols, 0, 1)
      k.quantiseActivations(xs, cols, q, qs, tokens, cols, cols)
      k.matmulInteger(codes, scales, q, qs, y, rows, cols, cols, tokens, rows, 0, 1)
    },
    { input: 6, bytes: 4 * tokens * rows },
  )
  for (const result of results) {
    const isNumber = Array.from(floats(result), v => !Number.isNaN(v))
    expect(isNumber).toEqual([...Array(rows).fill(true), ...Array(rows).fill(false)])
  }
})

function product(w: Float32Array, x: Float32Array, rows: number, cols: number, tokens: number): number[] {
  return Array.from({ length: tokens * rows }, (_, i) => {
    const [t, r] = [Math.floor(i / rows), i % rows]
    let sum = 0
    for (let c = 0; c < cols; c++) sum += w[r * cols + c] * x[t * cols + c]
    return sum
  })
}

describe('products straight from codes', () => {
  it.each([
    { rows: 5, cols: 24, bits: 3, dim: 1, group: 12, shifted: true, tokens: 1 },
    { rows: 37, cols: 96, bits: 8, dim: 4, group: 96, shifted: false, tokens: 3 },
    { rows: 37, cols: 96, bits: 8, dim: 4, group: 32, shifted: false, tokens: 1 },
    { rows: 21, cols: 96, bits: 5, dim: 2, group: 48, shifted: true, tokens: 1 },
    { rows: 20, cols: 64, bits: 4, dim: 1, group: 32, shifted: false, tokens: 2 },
  ])('%o', ({ rows, cols, bits, dim, group, shifted, tokens }) => {
    const codeBytes = Math.ceil(((cols / dim) * bits) / 8)
    const codes = new Float32Array(
      Uint32Array.from({ length: (rows * codeBytes) / 4 + 2 }, () => draws.integer(2 ** 32) >>> 0).buffer,
    ).map(v => (Number.isNaN(v) ? 1 : v))
    const perRow = (rows * cols) / group
    const results = run(
      [
        codes,
        normal(dim << bits),
        normal(perRow),
        normal(perRow),
        normal(tokens * cols),
        zeros(3 * 16 * cols),
      ].concat([normal(tokens * rows)]),
      (k, [stored, table, scales, shifts, x, panel, y]) =>
        k.matmulCodes(
          ...([x, cols, y, rows, tokens, rows, cols, 1, panel, stored, codeBytes, bits, dim] as const),
          ...([table, scales, shifted ? shifts : 0, group] as const),
        ),
      { input: 6, bytes: 4 * tokens * rows },
    )
    close(results, 1e-5, floats)
  })
})

describe('rotations', () => {
  const matrix = (factor: HadamardFactor) =>
    factorMatrix(factor).map(v => (factor.kind === 'paley' ? Math.sign(v) : v))
  const widths = [72, 576, 960, 1536, 28, 4, 32, 256, 240, 24]
  it.each(widths.flatMap(width => [[width, 1] as const, [width, 0] as const]))(
    'of width %i, of inputs: %i',
    (width, isInput) => {
      const plan = hadamardPlan(width)
      const dense = plan.filter(factor => factor.kind !== 'sylvester')
      const ldy = width + 4
      const results = run(
        [
          normal(3 * width),
          normal(3 * ldy),
          normal(width),
          zeros(3 * 8 * 512),
          zeros(12),
          ...dense.map(matrix),
        ],
        (k, [x, y, signs, scratch, list, ...matrices], { arena }) => {
          let inner = width
          const words = plan.flatMap(({ size, kind }) => {
            inner /= size
            return [size, inner, kind === 'sylvester' ? 0 : matrices.shift()!]
          })
          arena.words(list, words.length).set(words)
          k.rotate(x, y, ldy, 3, width, signs, isInput, 1 - isInput, list, plan.length, scratch, 32 * 512)
        },
        { input: 1, bytes: 4 * 3 * ldy },
      )
      close(results, 1e-5, floats)
    },
  )
})

describe('between products', () => {
  it('rmsNorm', () => {
    const results = run(
      [normal(5 * 72, 3), normal(72), zeros(5 * 72)],
      (k, [x, w, out]) => k.rmsNorm(x, w, out, 5, 72, 1e-6),
      { input: 2, bytes: 4 * 5 * 72 },
    )
    close(results, 1e-6, floats)
  })

  it.each([0, 1, 2])('gate, kind %i, also where the exponential overflows', kind => {
    const x = Float32Array.of(...normal(7000, 4), 200, -200, 30, -30)
    const results = run([x, normal(x.length)], (k, [gates, up]) => k.gate(gates, up, x.length, kind), {
      input: 0,
      bytes: 4 * x.length,
    })
    close(results, 1e-6, floats)
  })

  it.each([
    { pairs: 6, headDim: 12, interleaved: 0 },
    { pairs: 32, headDim: 64, interleaved: 0 },
    { pairs: 3, headDim: 12, interleaved: 0 },
    { pairs: 8, headDim: 24, interleaved: 0 },
    { pairs: 6, headDim: 12, interleaved: 1 },
    { pairs: 5, headDim: 16, interleaved: 1 },
  ])('rope %o', ({ pairs, headDim, interleaved }) => {
    const angles = normal(3 * pairs, 2)
    const results = run(
      [normal(3 * 2 * headDim), angles.map(Math.cos), angles.map(Math.sin)],
      (k, [x, cos, sin]) => k.rope(x, cos, sin, 3, 2, headDim, pairs, interleaved),
      { input: 0, bytes: 4 * 3 * 2 * headDim },
    )
    close(results, 1e-6, floats)
  })

  it.each([
    { tokens: 1, heads: 6, kvHeads: 2, headDim: 12, position: 0, window: 0 },
    { tokens: 5, heads: 9, kvHeads: 3, headDim: 64, position: 70, window: 0 },
    { tokens: 6, heads: 4, kvHeads: 2, headDim: 24, position: 9, window: 0, softcap: 5 },
    { tokens: 7, heads: 4, kvHeads: 1, headDim: 24, position: 30, window: 8 },
    { tokens: 8, heads: 6, kvHeads: 2, headDim: 16, position: 0, window: 0 },
    { tokens: 7, heads: 6, kvHeads: 2, headDim: 32, position: 41, window: 0, softcap: 5, hasSinks: true },
    { tokens: 3, heads: 2, kvHeads: 2, headDim: 80, position: 2, window: 100 },
    { tokens: 6, heads: 6, kvHeads: 2, headDim: 16, position: 5, window: 4, hasSinks: true },
  ])('attention %o', ({ tokens, heads, kvHeads, headDim, position, window, softcap = 0, hasSinks }) => {
    const positions = position + tokens
    const results = run(
      [
        normal(tokens * heads * headDim),
        normal(positions * kvHeads * headDim),
        normal(positions * kvHeads * headDim),
        zeros(tokens * heads * headDim),
        zeros(6 * 128),
        normal(heads),
      ],
      (k, [q, keys, values, out, scores, sinks]) =>
        k.attention(
          q,
          keys,
          values,
          out,
          tokens,
          heads,
          kvHeads,
          headDim,
          position,
          window,
          0.3,
          softcap,
          scores,
          128,
          hasSinks ? sinks : 0,
        ),
      { input: 3, bytes: 4 * tokens * heads * headDim },
    )
    close(results, 2e-6, floats)
  })

  it('attention of tokens that are read together gives the bits of one after the other', () => {
    const [tokens, heads, headDim, position] = [5, 3, 48, 11]
    const width = heads * headDim
    const inputs = [
      ...[normal(tokens * width), normal((position + tokens) * width), normal((position + tokens) * width)],
      ...[zeros(tokens * width), zeros(6 * 32)],
    ]
    const sizes = [heads, heads, headDim] as const
    const read = (together: number) =>
      run(
        inputs,
        (k, [q, keys, values, out, scores]) => {
          for (let t = 0; t < tokens; t += together) {
            const at = 4 * t * width
            const where = [position + t, 0, 0.2, 0, scores, 32, 0] as const
            k.attention(q + at, keys, values, out + at, together, ...sizes, ...where)
          }
        },
        { input: 3, bytes: 4 * tokens * width },
      )
    expect(read(5).slice(1)).toEqual(read(1).slice(1))
  })

  it.each([
    { tokens: 1, heads: 2, shared: 1, keyDim: 16, valueDim: 16, isDelta: 1 },
    { tokens: 5, heads: 6, shared: 3, keyDim: 12, valueDim: 23, isDelta: 1 },
    { tokens: 3, heads: 4, shared: 2, keyDim: 8, valueDim: 38, isDelta: 0 },
    { tokens: 9, heads: 8, shared: 1, keyDim: 64, valueDim: 32, isDelta: 1 },
  ])('recurrence %o', ({ tokens, heads, shared, keyDim, valueDim, isDelta }) => {
    const keys = (heads / shared) * keyDim
    const ldx = heads * valueDim + 2 * keys
    const factors = () => Float32Array.from({ length: tokens * heads }, () => draws.uniform())
    const inputs = [
      normal(tokens * ldx, 0.3),
      normal(heads * keyDim * valueDim),
      ...[factors(), factors(), zeros(tokens * heads * valueDim)],
    ]
    const sizes = [tokens, heads, shared, keyDim, valueDim, isDelta] as const
    for (const [input, count] of [
      [1, heads * keyDim * valueDim],
      [4, tokens * heads * valueDim],
    ]) {
      const results = run(
        inputs,
        (k, [x, matrices, left, write, y]) =>
          k.recurrence(x, ldx, 2 * keys, keys, 0, matrices, left, write, y, ...sizes),
        { input, bytes: 4 * count },
      )
      close(results, 1e-5, floats)
    }
  })

  it.each([
    { tokens: 1, heads: 3, kvHeads: 1, headDim: 64, position: 0, window: 0 },
    { tokens: 1, heads: 9, kvHeads: 3, headDim: 64, position: 300, window: 0 },
    { tokens: 1, heads: 2, kvHeads: 2, headDim: 12, position: 128, window: 0 },
    { tokens: 7, heads: 4, kvHeads: 2, headDim: 20, position: 125, window: 0, softcap: 2 },
    { tokens: 33, heads: 8, kvHeads: 2, headDim: 16, position: 250, window: 90 },
    { tokens: 5, heads: 5, kvHeads: 1, headDim: 128, position: 700, window: 3, softcap: 0.5 },
  ])(
    'attention over pages of 8 bits %o',
    ({ tokens, heads, kvHeads, headDim, position, window, softcap = 0 }) => {
      const positions = position + tokens
      const pages = Math.ceil(positions / PAGE_POSITIONS)
      const results = run(
        [
          normal(tokens * heads * headDim),
          normal(positions * kvHeads * headDim),
          normal(positions * kvHeads * headDim),
          zeros(tokens * heads * headDim),
          zeros(3 * 16384),
          zeros(pages),
          zeros((pages * pageBytes(kvHeads, headDim)) / 4),
        ],
        (k, [q, keys, values, out, scratch, list, memory], { arena }) => {
          const addresses = Uint32Array.from(
            { length: pages },
            (_, i) => memory + i * pageBytes(kvHeads, headDim),
          )
          arena.bytes(list, 4 * pages).set(new Uint8Array(addresses.buffer))
          expect(k.pagedScratch(headDim)).toBeLessThanOrEqual(4 * 16384)
          const first = Math.min(position, 3)
          const width = 4 * kvHeads * headDim
          k.appendToPages(keys, values, list, first, kvHeads, headDim, 0)
          const [k2, v2] = [keys + first * width, values + first * width]
          k.appendToPages(k2, v2, list, positions - first, kvHeads, headDim, first)
          const sizes = [tokens, heads, kvHeads, headDim, position, window, 0.3, softcap] as const
          k.pagedAttention(q, list, out, ...sizes, scratch)
        },
        { input: 3, bytes: 4 * tokens * heads * headDim },
      )
      close(results, 2e-4, floats)
    },
  )

  it('sums, biases and factors', () => {
    const results = run(
      [normal(3 * 24), normal(24), normal(3 * 24)],
      (k, [x, w, y]) => {
        k.multiplyRows(x, w, x, 24, 3, 24, 0)
        k.addBias(x, w, 3, 24)
        k.addInPlace(y, x, 3 * 24)
        k.addScaled(y, w, 24, -0.7)
        k.copy(y, x, 5)
      },
      { input: 2, bytes: 4 * 3 * 24 },
    )
    close(results, 1e-6, floats)
  })
})

describe.each([
  { rows: 3, width: 23, ldy: 28, accumulate: 1 },
  { rows: 70, width: 1536, ldy: 1600, accumulate: 0 },
  { rows: 65, width: 1000, ldy: 1000, accumulate: 1 },
])('rows times factors, %o', ({ rows, width, ldy, accumulate }) => {
  it('go where they are wanted, and nowhere else', () => {
    const results = run(
      [normal(rows * width + 4), normal(width + 4), normal(rows * ldy)],
      (k, [x, w, y]) => k.multiplyRows(x, w, y, ldy, rows, width, accumulate),
      { input: 2, bytes: 4 * rows * ldy },
    )
    close(results, 0, floats)
  })
})

describe('Arena', () => {
  it('hands freed memory out again, zeroed and merged', () => {
    const { arena } = plain
    const before = arena.used
    const [a, b, c] = [arena.allocate(100), arena.allocate(100), arena.allocate(100)]
    arena.bytes(a, 200).fill(1)
    arena.free(a)
    arena.free(b)
    const again = arena.allocate(200)
    expect(again).toBe(a)
    expect(arena.bytes(again, 200).every(byte => byte === 0)).toBe(true)
    arena.free(again)
    arena.free(c)
    expect(arena.used).toBe(before)
    expect(() => arena.free(c)).toThrow('nothing is allocated')
  })

  it('says what to do when there is no memory left', () => {
    expect(() => plain.arena.allocate(5e9)).toThrow(/no memory for/)
  })
})
