import { random } from '@reallm/tensor-io'
import { ggufBlockType } from '@reallm/tensor-io/layouts/gguf'
import { describe, expect, it } from 'vitest'
import { blockTypes } from './blocks.ts'
import { createInference, type Inference } from './index.ts'

const engines = await Promise.all([
  createInference({ build: 'reference' }),
  createInference({ build: 'plain' }),
  createInference({ build: 'plain', threads: 3 }),
])
const draws = random(3)

describe.each([...blockTypes])('products with blocks of %s', (name, { id, group, hasOffsets, points }) => {
  const { block, bytes } = ggufBlockType(name)
  const rowBytes = (cols: number) => (cols / block) * bytes

  /** Random blocks, no scale of which is infinite. */
  function blocksOf(rows: number, cols: number): Uint8Array {
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
  ): Promise<Float32Array> {
    const { stored, x, y, sizes } = given
    const { rows, cols, tokens, ldy, accumulate } = sizes
    const { matmulBlocks, groupSums } = await load()
    const at = {
      blocks: arena.allocate(stored.length + 16),
      x: arena.allocate(4 * x.length),
      q: arena.allocate(2 * x.length),
      scales: arena.allocate(4 * tokens),
      sums: arena.allocate((4 * x.length) / group),
      y: arena.allocate(4 * y.length),
      panel: arena.allocate(8 * cols * threads),
      table: points ? arena.allocate(points().length) : 0,
    }
    arena.bytes(at.blocks, stored.length).set(stored)
    arena.floats(at.x, x.length).set(x)
    arena.floats(at.y, y.length).set(y)
    if (points) arena.bytes(at.table, points().length).set(new Uint8Array(points().buffer))
    kernels.quantiseActivations(at.x, cols, at.q, at.scales, tokens, cols, cols)
    if (hasOffsets) groupSums(at.q, at.sums, tokens, cols, group)
    const sums = hasOffsets ? at.sums : 0
    matmulBlocks(
      ...[id, at.blocks, rowBytes(cols), at.q, at.scales, sums, at.y],
      ...[rows, cols, group, tokens, ldy, accumulate, at.panel, at.table],
    )
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
    const worst = single.reduce((top, v, i) => Math.max(top, Math.abs(v - want[i])), 0)
    expect(worst / largest).toBeLessThan(2e-6)
    expect(threaded).toEqual(single)
  })
})

interface Sizes {
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly ldy: number
  readonly accumulate: number
}
