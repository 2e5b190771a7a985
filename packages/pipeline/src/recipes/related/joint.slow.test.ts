import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { largest, prunedCodec } from '@reallm/lowrank'
import { attentionOf, gatedMlpOf } from '@reallm/tensor-io/models'
import { writeToyModels } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { openWeights, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test, vi } from 'vitest'
import { compress } from '../../compress.ts'
import { readMatrix } from '../../open/read-matrix.ts'
import { configuration } from '../configuration.ts'
import { builtInRegistry } from '../registry.ts'
import { pruneRecipes } from './prune.ts'

vi.setConfig({ testTimeout: 120_000 })

const folder = workFolder()
const text = 'It is a way I have of driving off the spleen, and regulating the circulation. '.repeat(40)
let original: string

beforeAll(async () => {
  await useBackend('wasm')
  original = (await writeToyModels(folder)).original
  await writeFile(join(folder, 'text.txt'), text)
})

test('lr-qat: a training that was stopped goes on, and ends in the same bytes', async () => {
  const options = {
    ...({ recipe: 'lr-qat', effort: 'fast', bits: 12, threads: 0, evaluate: false } as const),
    ...{ calibration: join(folder, 'text.txt'), backend: 'wasm' as const },
  }
  const weights = (name: string) => readFileSync(join(folder, name, 'model.safetensors'))
  const { matrices } = await compress(original, { ...options, to: join(folder, 'whole') })
  expect(matrices.filter(m => m.codec.startsWith('integers')).length).toBe(14)

  const stop = new AbortController()
  const onProgress = ({ event, done = 0 }: { event: string; done?: number }) => {
    if (event === 'step-end' && done === 7) stop.abort()
  }
  const to = join(folder, 'stopped')
  const stopped = compress(original, { ...options, to, onProgress, signal: stop.signal })
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  const steps: number[] = []
  await compress(original, {
    ...{ ...options, to, resume: true },
    onProgress: ({ event, done = 0 }) => void (event === 'step-end' && steps.push(done)),
  })
  expect(steps[0]).toBe(8)
  expect(weights('stopped')).toEqual(weights('whole'))
})

test('onebit: one bit for each weight of the blocks and two vectors, in an artifact that is measured', async () => {
  const { matrices, quality } = await compress(original, {
    ...{ to: join(folder, 'one'), recipe: 'onebit', effort: 'fast', bits: 8, threads: 0, backend: 'wasm' },
    calibration: join(folder, 'text.txt'),
  })
  for (const { codec, bytes, shape } of matrices.filter(m => m.name.includes('layers'))) {
    expect(codec).toBe('1 bit')
    expect(bytes).toBe(Math.ceil((shape[0] * shape[1]) / 8) + 2 * (shape[0] + shape[1]))
  }
  expect(quality!.compressed.kl).toBeGreaterThan(0)
})

test.each(pruneRecipes)(
  '$name leaves out whole channels and heads, those of the lowest score',
  async ({ name, quantise }) => {
    const model = await openWeights(original)
    const { hiddenSize, layerSpecs } = model.config
    const { headDim } = attentionOf(layerSpecs[0].mixer, 'the test')
    const inner = gatedMlpOf(layerSpecs[0].ffn, 'the test').width
    const layer = 'model.layers.0.'
    const names = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj', 'self_attn.q_proj', 'self_attn.o_proj']
    const kept = [{ rows: 20 }, { rows: 20 }, { cols: 20 }, { rows: headDim }, { cols: headDim }]
    const configurations = new Map(
      names.map((name, i) => [
        `${layer}${name}`,
        configuration({ id: 'pruned', codec: prunedCodec, params: { ...kept[i], bits: 8 } }),
      ]),
    )
    const ids = (await model.tokenizer()).encode(text)
    const calibration = [Int32Array.from(ids.slice(0, 30)), Int32Array.from(ids.slice(30, 60))]
    const work = await mkdtemp(join(folder, 'prune-'))
    if (quantise.kind !== 'joint') throw new Error('pruning is joint')
    const encoded = await quantise.run({
      ...{ model, configurations, work, embeddings: new Map(), effort: 'fast', seed: 0 },
      sequences: { calibration, validation: [], text: new Int32Array(), length: 30, source: 'this test' },
    })
    expect(await readdir(work)).toEqual([])
    const decoded = (name: string) => builtInRegistry().decode(encoded.get(`${layer}${name}`)!)
    const rowsLeft = (name: string) =>
      largest([...rowNorms(decoded(name))], decoded(name).rows).filter(r => rowNorms(decoded(name))[r] > 0)
    const colsLeft = (name: string) => {
      const { rows, cols, data } = decoded(name)
      return Array.from({ length: cols }, (_, c) => c).filter(c =>
        Array.from({ length: rows }, (_, r) => data[r * cols + c]).some(v => v !== 0),
      )
    }
    expect(rowsLeft('mlp.gate_proj').length).toBe(20)
    expect(rowsLeft('mlp.up_proj')).toEqual(rowsLeft('mlp.gate_proj'))
    expect(colsLeft('mlp.down_proj')).toEqual(rowsLeft('mlp.gate_proj'))
    expect(colsLeft('self_attn.o_proj')).toEqual(rowsLeft('self_attn.q_proj'))
    expect(new Set(colsLeft('self_attn.o_proj').map(c => Math.floor(c / headDim))).size).toBe(1)
    if (name === 'prune-magnitude') {
      const [gate, up, down] = await Promise.all(
        names.slice(0, 3).map(name => readMatrix(model, `${layer}${name}.weight`)),
      )
      const score = Float64Array.from({ length: inner }, (_, i) => rowNorms(gate)[i] + rowNorms(up)[i])
      for (let i = 0; i < hiddenSize * inner; i++) score[i % inner] += down.data[i] ** 2
      expect(rowsLeft('mlp.gate_proj')).toEqual(largest(score, 20))
    }
    await model.close()
  },
)

const rowNorms = ({ rows, cols, data }: { rows: number; cols: number; data: Float32Array }) =>
  Float64Array.from({ length: rows }, (_, r) =>
    data.subarray(r * cols, (r + 1) * cols).reduce((sum, v) => sum + v * v, 0),
  )
