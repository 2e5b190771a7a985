import { random } from '@reallm/tensor-io'
import type { Attention } from '@reallm/tensor-io/models'
import { expect, it } from 'vitest'
import { distance } from '../../../test/conformance/distance.ts'
import { Engine } from './engine.ts'
import { FloatCache } from './float-cache.ts'
import { PagedCache } from './paged-cache.ts'

const module = { name: 'unused', shape: [4, 4] as const, bias: false }
const projection = { module, from: 0, to: 4 }
const spec: Attention = {
  ...{ kind: 'attention', heads: 4, kvHeads: 2, headDim: 8, qkNorm: undefined, rope: undefined },
  ...{ query: projection, key: projection, value: projection, output: module },
  ...{ window: undefined, softcap: undefined, scale: 0.3, gated: false, sinks: undefined },
}

it('reads thousands of positions as the exact cache does, moves nothing and gives all memory back', async () => {
  const engine = await Engine.start({})
  const { normal } = random(3)
  const batch = 50
  const [q, k, v, got, want] = [32, 16, 16, 32, 32].map(width => engine.allocateFloats(batch * width))
  const fill = (at: number, floats: number) =>
    engine.arena.floats(at, floats).set(Float32Array.from({ length: floats }, normal))
  engine.scratchBytes('scores', 8 * 3000)
  engine.scratchBytes('pages', engine.kernels.pagedScratch(8))
  const before = engine.arena.used
  const [paged, exact] = [new PagedCache(engine, spec), new FloatCache(engine, spec)]
  const sizes: number[] = []
  for (let position = 0; position < 2500; position += batch) {
    fill(q, 32 * batch)
    fill(k, 16 * batch)
    fill(v, 16 * batch)
    for (const [cache, to] of [
      [paged, got],
      [exact, want],
    ] as const) {
      cache.reserve(position + batch, position)
      cache.attend({ spec, query: q, own: { keys: k, values: v }, to, tokens: batch, position })
    }
    sizes.push(paged.bytes)
    const [a, b] = [engine.arena.floats(got, 32 * batch), engine.arena.floats(want, 32 * batch)]
    expect(distance(a, b)).toBeLessThan(0.02)
  }
  expect(sizes.at(-1)).toBeLessThan(exact.bytes / 2)
  paged.dispose()
  exact.dispose()
  expect(engine.arena.used).toBe(before)
})
