import { random } from '@reallm/tensor-io'
import { ggufBlockType, readGguf } from '@reallm/tensor-io/layouts/gguf'
import { describe, expect, it } from 'vitest'
import { blockTypes, canExpand, expandedForm } from './blocks.ts'
import { createInference, type Inference } from './index.ts'

const engines = await Promise.all([
  createInference({ build: 'reference' }),
  createInference({ build: 'plain' }),
  createInference({ build: 'plain', threads: 3 }),
])
const draws = random(3)

describe.each([...blockTypes])('products with blocks of %s', (name, type) => {
  const { id, group, hasOffsets, points } = type
  const { block, bytes } = ggufBlockType(name)
  const rowBytes = (cols: number) => (cols / block) * bytes

  /** Random blocks, no scale of which is infinite. */
  function blocksOf(rows: number, cols: number): Uint8Array<ArrayBuffer> {
    const all = Uint8Array.from({ length: rows * rowBytes(cols) }, () => draws.integer(256))
    // any half float of a block has an exponent below that of infinity
    for (const [i, byte] of all.entries()) if ((byte & 0x7c) === 0x7c) all[i] = byte ^ 0x40
    for (let at = 0; at < all.length; at += bytes) {
      if (name === 'NVFP4') for (let g = 0; g < 4; g++) all[at + g] = 0x28 + draws.integer(8)
      if (name === 'MXFP4') all[at] = 120 + draws.integer(12)
      if (name === 'IQ1_M') all[at + 55] &= 0xbf
    }
    return all
  }

  async function product(
    { arena, kernels, blocks: load, threads }: Inference,
    given: { stored: Uint8Array; x: Float32Array; y: Float32Array; sizes: Sizes },
    expand = false,
  ): Promise<Float32Array> {
    const { stored, x, y, sizes } = given
    const { rows, cols, tokens, ldy, accumulate } = sizes
    const { bits, middle } = expandedForm(type)
    const blocks = await load()
    const at = {
      blocks: arena.allocate(stored.length + 16),
      x: arena.allocate(4 * x.length),
      q: arena.allocate(2 * x.length),
      scales: arena.allocate(4 * tokens),
      sums: arena.allocate((4 * x.length) / group),
      y: arena.allocate(4 * y.length),
      panel: arena.allocate(8 * cols * threads),
      table: points ? arena.allocate(points().length) : 0,
      scratch: arena.allocate(64 * threads),
      expanded: arena.allocate(((rows + 15) & ~15) * cols * (1 + 8 / group)),
    }
    arena.bytes(at.blocks, stored.length).set(stored)
    arena.floats(at.x, x.length).set(x)
    arena.floats(at.y, y.length).set(y)
    if (points) arena.bytes(at.table, points().length).set(new Uint8Array(points().buffer))
    kernels.quantiseActivations(at.x, cols, at.q, at.scales, tokens, cols, cols)
    const sums = hasOffsets ? at.sums : 0
    if (sums !== 0) blocks.groupSums(at.q, sums, tokens, cols, group)
    const shape = [rows, cols, group, tokens, ldy, accumulate] as const
    if (expand && canExpand(blocks)) {
      const form = [rows, cols, group, bits, middle, Number(hasOffsets)] as const
      blocks.expandBlocks(id, at.blocks, rowBytes(cols), at.expanded, ...form, at.panel, at.table)
      blocks.matmulExpanded(at.expanded, bits, at.q, at.scales, sums, at.y, ...shape, at.scratch)
    } else {
      const stored = [id, at.blocks, rowBytes(cols)] as const
      blocks.matmulBlocks(...stored, at.q, at.scales, sums, at.y, ...shape, at.panel, at.table)
    }
    const result = arena.floats(at.y, y.length).slice()
    for (const pointer of Object.values(at)) if (pointer !== 0) arena.free(pointer)
    return result
  }

  it.each<Sizes>([
    { rows: 3, cols: 256, tokens: 1, ldy: 3, accumulate: 0 },
    { rows: 170, cols: 768, tokens: 5, ldy: 171, accumulate: 1 },
  ])('$rows×$cols by $tokens', async sizes => {
    const { rows, cols, tokens, ldy } = sizes
    const normal = (n: number) => Float32Array.from({ length: n }, () => draws.normal())
    const given = { stored: blocksOf(rows, cols), x: normal(tokens * cols), y: normal(tokens * ldy), sizes }
    const [want, single, threaded] = await Promise.all(engines.map(engine => product(engine, given)))
    const largest = want.reduce((top, v) => Math.max(top, Math.abs(v)), 0)
    expect(largest).toBeGreaterThan(0)
    expect(largest).toBeLessThan(Number.POSITIVE_INFINITY)
    const far = (got: Float32Array) => got.reduce((top, v, i) => Math.max(top, Math.abs(v - want[i])), 0)
    expect(far(single) / largest).toBeLessThan(2e-6)
    expect(threaded).toEqual(single)

    const [, expanded, expandedByThree] = await Promise.all(
      engines.map(engine => product(engine, given, true)),
    )
    expect(far(expanded) / largest).toBeLessThan(2e-6)
    expect(expandedByThree).toEqual(expanded)
  })

  it('rows of what was expanded', async () => {
    const [rows, cols] = [7, 256]
    const { bits, middle } = expandedForm(type)
    const { arena, blocks: load } = engines[1]
    const kernels = await load()
    if (!canExpand(kernels)) throw new Error('WebAssembly expands blocks')
    const data = blocksOf(rows, cols)
    const at = {
      blocks: arena.allocate(data.length + 16),
      w: arena.allocate(16 * cols * (1 + 8 / group)),
      panel: arena.allocate(8 * cols),
      table: arena.allocate(points?.().length ?? 0),
      row: arena.allocate(4 * cols),
    }
    arena.bytes(at.blocks, data.length).set(data)
    if (points) arena.bytes(at.table, points().length).set(new Uint8Array(points().buffer))
    const form = [rows, cols, group, bits, middle, Number(hasOffsets)] as const
    kernels.expandBlocks(id, at.blocks, rowBytes(cols), at.w, ...form, at.panel, at.table)
    const parts = { blocks: { dtype: 'U8' as const, shape: [rows, rowBytes(cols)], data } }
    const want = readGguf({ codec: 'gguf', params: { type: name }, shape: [rows, cols], parts }, 0, rows).data
    const largest = want.reduce((top, v) => Math.max(top, Math.abs(v)), 0)
    for (let r = 0; r < rows; r++) {
      kernels.expandedRow(at.w, r, at.row, cols, group, bits, Number(hasOffsets), 2)
      const got = arena.floats(at.row, cols)
      const far = got.reduce((top, v, c) => Math.max(top, Math.abs(v - 2 * want[r * cols + c])), 0)
      expect(far / largest).toBeLessThan(1e-6)
    }
    for (const pointer of Object.values(at)) arena.free(pointer)
  })
})

interface Sizes {
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly ldy: number
  readonly accumulate: number
}
