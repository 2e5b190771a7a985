import { random } from '@reallm/tensor-io'
import { trellisTiles, unpackTile } from '@reallm/tensor-io/layouts/trellis-tiles'
import { describe, expect, it } from 'vitest'
import {
  EXPAND_SCRATCH,
  pairSteps,
  pairTable,
  streamScratch,
  trellisStream,
} from '../decode/trellis-stream.ts'
import { createInference, type Inference } from './index.ts'

const engines: readonly (readonly [string, Inference])[] = [
  ['the reference', await createInference({ build: 'reference' })],
  ['plain', await createInference({ build: 'plain' })],
  ['threads', await createInference({ build: 'plain', threads: 3 })],
]
const draws = random(3)

interface Case {
  readonly rows: number
  /** Columns of tiles at each rate. */
  readonly columns: readonly (readonly [tiles: number, bits: number])[]
  readonly stateBits: number
  /** Whether two weights are looked up at once. */
  readonly pairs: boolean
}

const everyRate = Array.from({ length: 21 }, (_, i) => [1, 1 + i / 4] as const)
const cases: readonly Case[] = [
  { rows: 16, columns: [[1, 2]], stateBits: 8, pairs: true },
  {
    rows: 30,
    columns: [
      [2, 3],
      [1, 3.25],
      [3, 2],
    ],
    stateBits: 10,
    pairs: true,
  },
  { rows: 100, columns: everyRate, stateBits: 10, pairs: true },
  { rows: 40, columns: everyRate.slice(0, 13), stateBits: 12, pairs: true },
  { rows: 36, columns: everyRate, stateBits: 9, pairs: false },
  { rows: 20, columns: everyRate, stateBits: 16, pairs: false },
]

/** More rows than are computed together. */
const bands: Case = {
  rows: 600,
  columns: [
    [2, 2.5],
    [1, 3.75],
  ],
  stateBits: 10,
  pairs: true,
}
/** Long states at low rates reach around a tile's ends furthest. */
const lowRates: Case = {
  rows: 34,
  columns: [
    [2, 1],
    [1, 1.25],
    [1, 1.75],
  ],
  stateBits: 14,
  pairs: true,
}

/** A code of random words with random values of its states, and its weights by `unpackTile`. */
function makeCode({ rows, columns, stateBits }: Case) {
  const table = Int8Array.from({ length: 2 ** stateBits }, () => draws.integer(255) - 127)
  const segments = columns.map(([tileCols, bits]) => {
    const tiles = trellisTiles(rows, 16 * tileCols, bits)
    return { tiles, words: Uint32Array.from({ length: tiles.words }, () => draws.word()) }
  })
  const cols = 16 * columns.reduce((sum, [tiles]) => sum + tiles, 0)
  const weightAt = (r: number, c: number) => {
    let left = c >> 4
    for (const { tiles, words } of segments) {
      if (left < tiles.tileCols) {
        return table[unpackTile(words, tiles, r >> 4, left, stateBits)[(r & 15) * 16 + (c & 15)]]
      }
      left -= tiles.tileCols
    }
    throw new Error(`no column ${c}`)
  }
  return { cols, table, segments, weightAt }
}

/** The code in an engine's memory, and a function that puts further bytes there. */
function upload(
  { arena }: Inference,
  { columns, stateBits, pairs }: Case,
  code: ReturnType<typeof makeCode>,
) {
  const put = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => {
    const at = arena.allocate(byteLength)
    arena.bytes(at, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength))
    return at
  }
  const stream = trellisStream(code.segments)
  const addresses = new Uint32Array(50)
  for (const [, bits] of columns) {
    const tables = pairs
      ? pairSteps(stateBits, bits)!.map(step => pairTable(code.table, stateBits, step))
      : [code.table]
    addresses.set(
      tables.map(table => put(table)),
      8 * bits,
    )
  }
  const at = { codes: put(stream.codes), rates: put(stream.rates), tables: put(addresses) }
  return { put, ...at, rowBytes: stream.rowBytes }
}

const blockedAt = (r: number, c: number, cols: number) =>
  (r & ~3) * cols + ((c & ~15) << 2) + ((r & 3) << 4) + (c & 15)

describe.each(engines)('trellis codes by %s', (_, engine) => {
  const { kernels, arena, threads } = engine

  it.each(cases)('are expanded to bytes: $rows rows, $stateBits state bits, pairs $pairs', given => {
    const code = makeCode(given)
    const { rows, stateBits } = given
    const { codes, rates, tables, rowBytes } = upload(engine, given, code)
    const bytes = Math.ceil(rows / 4) * 4 * code.cols
    const w = arena.allocate(bytes)
    const scratch = arena.allocate(threads * EXPAND_SCRATCH)
    kernels.expandTrellis(codes, rows, code.cols, rowBytes, rates, tables, stateBits, w, scratch)
    const got = new Int8Array(arena.memory.buffer, w, bytes)
    for (let r = 0; r < rows; r++) {
      const row = Array.from({ length: code.cols }, (_, c) => got[blockedAt(r, c, code.cols)])
      expect(row).toEqual(Array.from({ length: code.cols }, (_, c) => code.weightAt(r, c)))
    }
  })

  it.each([
    { tokens: 1, accumulate: 0, group: 16, given: cases[1] },
    { tokens: 1, accumulate: 1, group: 96, given: cases[1] },
    { tokens: 5, accumulate: 1, group: 96, given: cases[1] },
    { tokens: 2, accumulate: 0, group: 48, given: cases[1] },
    { tokens: 1, accumulate: 0, group: 16, given: cases[0] },
    { tokens: 1, accumulate: 1, group: 336, given: cases[2] },
    { tokens: 1, accumulate: 0, group: 208, given: cases[3] },
    { tokens: 1, accumulate: 0, group: 112, given: cases[4] },
    { tokens: 1, accumulate: 0, group: 48, given: bands },
    { tokens: 1, accumulate: 0, group: 16, given: lowRates },
  ])(
    'multiply as their bytes do: $tokens tokens, groups of $group, $given',
    async ({ tokens, accumulate, group, given }) => {
      const code = makeCode(given)
      const { rows, stateBits } = given
      const { cols } = code
      const { put, codes, rates, tables, rowBytes } = upload(engine, given, code)
      const padded = Math.ceil(rows / 4) * 4
      const bytes = new Int8Array(padded * cols)
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) bytes[blockedAt(r, c, cols)] = code.weightAt(r, c)
      }
      const scales = put(Float32Array.from({ length: (padded * cols) / group }, () => 0.1 * draws.uniform()))
      // one more column of tiles than the matrix has lies between tokens
      const ldx = cols + 16
      const values = Int16Array.from({ length: tokens * ldx }, () => draws.integer(60000) - 30000)
      const x = put(values)
      const packedX = put(
        Int16Array.from({ length: tokens * cols }, (_, i) => values[Math.floor(i / cols) * ldx + (i % cols)]),
      )
      const xScales = put(Float32Array.from({ length: tokens }, () => draws.uniform()))
      const before = Float32Array.from({ length: tokens * rows }, () => draws.normal())
      const [want, got] = [put(before), put(before)]
      const scratchBytes = streamScratch(cols)
      const scratch = arena.allocate(threads * scratchBytes)
      const w = put(bytes)
      const { matmulTrellis } = await engine.trellis()
      kernels.matmulInteger(w, scales, packedX, xScales, want, rows, cols, group, tokens, rows, accumulate, 1)
      matmulTrellis(
        ...([codes, scales, x, xScales, got, rows, cols, group, tokens, ldx, rows, accumulate] as const),
        ...([rowBytes, rates, tables, stateBits, scratch, scratchBytes] as const),
      )
      expect(arena.floats(got, before.length)).toEqual(arena.floats(want, before.length))
      expect(arena.floats(got, before.length)).not.toEqual(before)
    },
  )
})

it('products with blocks and with trellis codes are loaded beside each other', async () => {
  const engine = await createInference({ build: 'plain', threads: 2 })
  const [{ matmulBlocks }, { matmulTrellis }] = await Promise.all([engine.blocks(), engine.trellis()])
  expect([matmulBlocks, matmulTrellis]).toEqual([expect.any(Function), expect.any(Function)])
  expect(engine.threads).toBe(2)
  expect((await engine.trellis()).matmulTrellis).toBe(matmulTrellis)
  engine.dispose()
})

describe('tables of pairs', () => {
  it('are left out where they would be long', () => {
    expect(pairSteps(14, 3)).toBeUndefined()
    expect(pairSteps(12, 4)).toEqual([4, 4])
    expect(pairTable(new Int8Array(2 ** 12), 12, 4).length).toBe(2 ** 16 + 1)
  })
})
