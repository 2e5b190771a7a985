import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { load } from '@reallm/runtime'
import { createArtifactWriter, createRegistry, type EncodedMatrix, openModel } from '@reallm/tensor-io'
import { openWeights } from '@reallm/tensor-io/models'
import { e8, grid, rotated } from '@reallm/vq'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))
const prompt = 'It was the best of times, and'
const dir = mkdtempSync(join(tmpdir(), 'reallm-runtime-'))
afterAll(() => rmSync(dir, { recursive: true }))

describe('an artifact', () => {
  beforeAll(async () => {
    const source = await openWeights(tiny)
    const writer = await createArtifactWriter(dir, { config: source.files.config, filesOf: source.files })
    for (const [name, [rows, cols]] of source.shapes) {
      const stored = await source.read(name)
      const module = name.replace(/\.weight$/, '')
      const w = { rows, cols, data: stored.data }
      if (cols === undefined) await writer.addTensor(name, stored)
      else if (/layers\.3.*q_proj/.test(name))
        await writer.addMatrix(module, await e8.encode(w, { bits: 4 }, { seed: 1 }))
      else if (/embed/.test(name))
        await writer.addMatrix(module, await grid.encode(w, { bits: 7 }, { seed: 1 }))
      else
        await writer.addMatrix(
          module,
          await rotated(grid).encode(w, { inner: { bits: 6, group: 'row' } }, { seed: 1 }),
        )
    }
    await writer.finish()
    await source.close()
  })
  const registry = createRegistry([e8])

  it('runs packed and expanded alike, and near to the original', async () => {
    const model = await load(tiny, { weights: 'f32' })
    const expanded = await load(dir, { registry })
    const packed = await load(dir, { registry, maxMemory: 4e6 })
    expect([expanded.weights, packed.weights]).toEqual(['expanded', 'packed'])
    const ids = model.tokenizer!.encode(prompt)
    const [a, b, original] = [expanded, packed, model].map(m => m.session().feed(ids))
    const distance = async (x: Promise<Float32Array>, y: Promise<Float32Array>) => {
      const [p, q] = [await x, await y]
      return Math.hypot(...p.map((v, i) => v - q[i])) / Math.hypot(...q)
    }
    expect(await distance(a, b)).toBeLessThan(1e-2)
    expect(await distance(a, original)).toBeLessThan(0.2)
    expect(await packed.generate(prompt, { maxTokens: 3 }).text()).not.toBe('')
  })

  it('holds one matrix beside what it runs, however many there are', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const files = await openModel(dir, { registry })
    const read: WeakRef<ArrayBufferLike>[] = []
    const watch = ({ parts, inner }: EncodedMatrix): void => {
      for (const { data } of Object.values(parts)) read.push(new WeakRef(data.buffer))
      if (inner) watch(inner)
    }
    let peak = 0
    const artifact: typeof files.artifact = {
      ...files.artifact!,
      async readEncoded(module) {
        await new Promise(resolve => setTimeout(resolve))
        collect()
        peak = Math.max(
          peak,
          read.reduce((sum, ref) => sum + (ref.deref()?.byteLength ?? 0), 0),
        )
        const stored = await files.artifact!.readEncoded(module)
        watch(stored)
        return stored
      },
    }
    const running = await load({ ...files, artifact }, { registry, weights: 'packed' })
    const sizes = [...files.artifact!.modules.values()].map(
      ({ shape, bits }) => (bits * shape[0] * shape[1]) / 8,
    )
    expect(read.length).toBeGreaterThan(40)
    expect(peak).toBeLessThanOrEqual(Math.max(...sizes))
    expect(running.bytes).toBeGreaterThan(0)
  })

  it('names the codec that it cannot run', async () => {
    await expect(load(dir)).rejects.toThrow(
      'model.layers.3.self_attn.q_proj: the codec e8 cannot be run by itself',
    )
  })
})
