import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesSource, encodeSafetensors, openSafetensors, tensor } from '@reallm/tensor-io'
import { parseAdapter, readAdapter } from '@reallm/tensor-io/adapter'
import { openWeights, parseConfig } from '@reallm/tensor-io/models'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { distance, type GoldenModel, goldenModel, readJson, readTensors } from '../../test/golden.ts'
import { type TfTensor, tf, useBackend } from '../tf.ts'
import { forward, nextTokenLoss } from '../transformer.ts'
import { adapted, loadAdapter, mergeAdapter } from './apply.ts'

import { writeAdapter } from './write.ts'

let base: GoldenModel
let ids: TfTensor
let scratch: string
beforeAll(async () => {
  await useBackend('wasm')
  const { source } = (base = await goldenModel('llama-gqa-tied')).config
  base = { ...base, config: await parseConfig(source) }
  ids = tf.tensor2d(base.ids, undefined, 'int32')
  scratch = await mkdtemp(join(tmpdir(), 'adapter-'))
})
afterAll(() => rm(scratch, { recursive: true }))

const factors = {
  'base_model.model.m.lora_A.weight': tensor('F32', [4, 2], new Float32Array(8)),
  'base_model.model.m.lora_B.weight': tensor('F32', [3, 4], new Float32Array(12)),
}
const parse = async (config: object, tensors = factors as Parameters<typeof encodeSafetensors>[0]) =>
  parseAdapter(
    { peft_type: 'LORA', lora_alpha: 8, ...config },
    await openSafetensors(bytesSource('x', encodeSafetensors(tensors))),
  )

describe.each(['lora', 'dora'])('%s of PEFT', kind => {
  const folder = `peft/${kind}`

  it('gives the reference logits and loss as hooks, and leaves nothing behind', async () => {
    const { config, weights } = base
    const expected = await readTensors(`${folder}/expected.safetensors`)
    const { loss } = await readJson(`${folder}/expected.json`)
    const before = tf.memory().numTensors
    const adapter = loadAdapter(await readAdapter(fixture(folder)), weights)
    tf.tidy(() => {
      expect(distance(forward(config, weights, ids, adapter.hooks), expected.logits)).toBeLessThan(1e-4)
      expect(nextTokenLoss(config, weights, ids, adapter.hooks).dataSync()[0]).toBeCloseTo(loss, 4)
    })
    adapter.dispose()
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose(expected)
  })

  it('gives the same when merged', async () => {
    const { config, weights } = base
    const expected = await readTensors(`${folder}/expected.safetensors`)
    const plain = await openWeights(fixture('models/llama-gqa-tied'))
    const model = adapted(plain, await readAdapter(fixture(folder)))
    const merged: Record<string, TfTensor> = {}
    for (const name of model.names) {
      const { data, shape } = await model.read(name)
      merged[name] = tf.tensor(data, [...shape])
    }
    tf.tidy(() => {
      expect(distance(forward(config, merged, ids), expected.logits)).toBeLessThan(1e-4)
    })
    const name = 'model.layers.1.self_attn.q_proj.weight'
    expect((await model.read(name, [3, 5])).data).toEqual((await model.read(name)).data.slice(3 * 72, 5 * 72))
    expect(distance(merged[name], weights[name])).toBeGreaterThan(1e-3)
    tf.dispose([merged, expected])
    await model.close()
  })

  it('is the same after writing and reading', async () => {
    const adapter = await readAdapter(fixture(folder))
    await writeAdapter(join(scratch, kind), adapter)
    expect(await readAdapter(join(scratch, kind))).toEqual(adapter)
    const config = JSON.parse(await readFile(join(scratch, kind, 'adapter_config.json'), 'utf8'))
    const { r, lora_alpha } = await readJson(`${folder}/adapter_config.json`)
    expect(config).toMatchObject({ r, lora_alpha, use_dora: kind === 'dora' })
  })
})

describe('scaling', () => {
  const scaling = async (config: object) => (await parse(config)).modules.get('m')!.scaling
  it('is alpha / rank', async () => expect(await scaling({})).toBe(2))
  it('is alpha / √rank for rsLoRA', async () => expect(await scaling({ use_rslora: true })).toBe(4))
  it('follows alpha_pattern', async () => expect(await scaling({ alpha_pattern: { 'x|m': 2 } })).toBe(0.5))
})

describe('different ranks and scalings', () => {
  it('survive writing', async () => {
    const part = (rank: number, scaling: number) => ({
      a: tensor(
        'F32',
        [rank, 2],
        Float32Array.from({ length: rank * 2 }, (_, i) => i),
      ),
      b: tensor(
        'F32',
        [3, rank],
        Float32Array.from({ length: rank * 3 }, (_, i) => -i),
      ),
      scaling,
    })
    const modules = new Map([
      ['l.0.a', part(2, 1)],
      ['l.0.b', part(3, 0.5)],
      ['l.1.a', part(2, 4)],
    ])
    await writeAdapter(join(scratch, 'mixed'), { modules, base: 'somewhere' })
    expect(await readAdapter(join(scratch, 'mixed'))).toEqual({ modules, base: 'somewhere' })
  })
})

describe('refusals', () => {
  it.each([
    [{ peft_type: 'IA3' }, 'peft_type IA3'],
    [{ bias: 'all' }, 'bias all'],
    [{ modules_to_save: ['lm_head'] }, 'modules_to_save'],
  ])('%o', async (config, message) => {
    await expect(parse(config)).rejects.toThrow(message)
  })

  it('names a missing factor, a foreign tensor and factors that do not fit', async () => {
    const { 'base_model.model.m.lora_A.weight': a, 'base_model.model.m.lora_B.weight': b } = factors
    await expect(parse({}, { 'base_model.model.m.lora_A.weight': a })).rejects.toThrow(
      'adapter of m has no lora_B',
    )
    await expect(parse({}, { ...factors, other: a })).rejects.toThrow('the tensor other')
    await expect(parse({}, { ...factors, 'base_model.model.m.lora_A.weight': b })).rejects.toThrow(
      '[3×4] and [3×4]',
    )
  })

  it('an adapter for another model', async () => {
    const model = await openWeights(fixture('models/llama-gqa-tied'))
    await expect(async () => adapted(model, await parse({}))).rejects.toThrow('the adapter changes m [3×2]')
    await model.close()
  })
})

it('merges W + s·BA', () => {
  const weight = tensor('F32', [2, 2], Float32Array.of(1, 0, 0, 1))
  const a = tensor('F32', [1, 2], Float32Array.of(1, 2))
  const b = tensor('F32', [2, 1], Float32Array.of(3, -1))
  expect(mergeAdapter(weight, { a, b, scaling: 0.5 }).data).toEqual(Float32Array.of(2.5, 3, -0.5, 0))
  const magnitude = tensor('F32', [2], Float32Array.of(1, 2))
  const [x, y, z] = mergeAdapter(weight, { a, b, scaling: 0.5, magnitude }).data
  expect(Math.hypot(x, y)).toBeCloseTo(1, 6)
  expect(z).toBeCloseTo(-2, 6)
})
