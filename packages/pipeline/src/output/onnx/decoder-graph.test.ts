import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EncodedMatrix, type MatrixShape, onnxBlocks, toFloat32 } from '@reallm/tensor-io'
import { allTensors, type HuggingFaceConfig, linearModules, parseConfig } from '@reallm/tensor-io/models'
import { fixture, writeRandomModel } from '@reallm/testing'
import { forward, tf, useBackend } from '@reallm/transformer'
import { grid } from '@reallm/vq'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storedConstants } from './constants.ts'
import { decoderGraph } from './decoder-graph.ts'
import { writeOnnx } from './write-model.ts'

let folder: string
beforeAll(async () => {
  await useBackend('wasm')
  folder = await mkdtemp(join(tmpdir(), 'reallm-onnx-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The configuration of a golden model, with sizes that ONNX Runtime can hold. */
async function configOf(family: string): Promise<HuggingFaceConfig> {
  const config = JSON.parse(await readFile(fixture(`models/${family}/config.json`), 'utf8'))
  const heads = family === 'phi3' ? 2 : 4
  return {
    ...config,
    hidden_size: 64,
    head_dim: 64 / heads,
    intermediate_size: 96,
    num_attention_heads: heads,
    num_key_value_heads: heads / 2,
  }
}

/** A random model, quantised with zero points: its graph on disk, and its weights as they decode. */
async function quantised(source: HuggingFaceConfig, bits: number, limit?: number) {
  const config = await parseConfig(source)
  const tensors = await writeRandomModel(join(folder, 'model'), source)
  const modules = ['model.embed_tokens', ...(config.tiedHead ? [] : ['lm_head'])]
  for (let i = 0; i < config.layers; i++) modules.push(...linearModules(config, i).map(({ name }) => name))
  const stored = new Map<string, EncodedMatrix>()
  const weights: Record<string, ReturnType<typeof tf.tensor>> = {}
  for (const [name, shape] of allTensors(config)) weights[name] = tf.tensor(tensors[name].data, [...shape])
  for (const module of modules) {
    const { shape, data } = tensors[`${module}.weight`]
    const [rows, cols] = shape
    const own = module === modules[0] || module === 'lm_head' ? 8 : bits
    const params = { bits: own, ...onnxBlocks }
    const encoded = await grid.encode({ rows, cols, data }, params, { seed: 0 })
    stored.set(module, encoded)
    weights[`${module}.weight`].dispose()
    weights[`${module}.weight`] = tf.tensor2d(grid.decode(encoded).data, [rows, cols])
  }
  const matrices = new Map(
    [...stored].map(([name, { shape, params }]) => [
      name,
      { shape: shape as MatrixShape, bits: (params as { bits: number }).bits },
    ]),
  )
  const graph = decoderGraph(
    config,
    storedConstants({
      matrices,
      matrix: async module => stored.get(module)!,
      tensor: name => ({ shape: tensors[name].shape, read: async () => toFloat32(tensors[name]) }),
    }),
  )
  const written = await writeOnnx(graph, join(folder, 'model'), limit)
  return { config, weights, written }
}

type Feeds = Record<string, Tensor>

async function run(
  session: InferenceSession,
  ids: readonly number[],
  past: Feeds,
  total: number,
): Promise<Feeds> {
  const feeds = {
    input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
    attention_mask: new Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
    ...past,
  }
  return (await session.run(feeds)) as Feeds
}

/** Largest difference of logits to those of TensorFlow.js, read at once and in two parts; and the files. */
async function compare(source: HuggingFaceConfig, bits: number, limit?: number) {
  const { config, weights, written } = await quantised(source, bits, limit)
  const session = await InferenceSession.create(join(folder, 'model.onnx'))
  const ids = Array.from({ length: 12 }, (_, i) => (37 * i + 5) % config.vocabSize)
  const wanted = tf.tidy(() => forward(config, weights, tf.tensor2d([ids], undefined, 'int32')).dataSync())
  tf.dispose(weights)
  const empty: Feeds = {}
  for (const [i, { mixer }] of config.layerSpecs.entries()) {
    if (mixer.kind !== 'attention') continue
    const shape = [1, mixer.kvHeads, 0, mixer.headDim]
    for (const what of ['key', 'value'])
      empty[`past_key_values.${i}.${what}`] = new Tensor('float32', [], shape)
  }
  const whole = await run(session, ids, empty, 12)
  const first = await run(session, ids.slice(0, 7), empty, 7)
  const past = Object.entries(first).flatMap(([name, value]) =>
    name.startsWith('present') ? [[name.replace('present', 'past_key_values'), value] as const] : [],
  )
  const second = await run(session, ids.slice(7), Object.fromEntries(past), 12)
  await session.release()
  const apart = (got: Tensor, from: number) => {
    const values = got.data as Float32Array
    return values.reduce((worst, v, i) => Math.max(worst, Math.abs(v - wanted[from + i])), 0)
  }
  return { written, whole: apart(whole.logits, 0), parts: apart(second.logits, 7 * config.vocabSize) }
}

describe('a graph in ONNX Runtime gives the logits of TensorFlow.js', () => {
  it.each([
    'llama-gqa-tied',
    'mistral-untied',
    'qwen2-bias',
    'qwen3-qknorm',
    'gemma3-text',
    'gemma2',
    'smollm3',
    'ernie4_5',
    'granite',
    'phi3',
    'olmo2',
    'olmo3',
    'exaone4',
  ])('%s', async family => {
    const { whole, parts } = await compare(await configOf(family), 4)
    expect(whole).toBeLessThan(1e-3)
    expect(parts).toBeLessThan(1e-3)
  })

  it.each([2, 8])('%i bits', async bits => {
    const { whole } = await compare(await configOf('llama-gqa-tied'), bits)
    expect(whole).toBeLessThan(1e-3)
  })

  it('with its constants in a file of their own', async () => {
    const { whole, written } = await compare(await configOf('llama-gqa-tied'), 4, 10_000)
    expect(written.files).toEqual(['model.onnx', 'model.onnx_data'])
    expect(whole).toBeLessThan(1e-3)
    const sizes = await Promise.all(
      written.files.map(async name => (await readFile(join(folder, name))).length),
    )
    expect(written.bytes).toBe(sizes[0] + sizes[1])
  })
})

describe('what a graph cannot express is named', () => {
  it.each([
    ['hunyuan_v1_dense', /norms behind the rotary embedding/],
    ['ministral3', /rotary embeddings that depend on the text/],
    ['qwen2-bias', /no heads of 12 values/],
    ['lfm2', /knows no mixer short-conv/],
    ['qwen3_moe', /knows no mixtures of experts/],
  ])('%s', async (family, message) => {
    const config = await parseConfig(
      JSON.parse(await readFile(fixture(`models/${family}/config.json`), 'utf8')),
    )
    const constants = { linear: () => 'y', embed: () => 'x', vector: () => 'v' }
    expect(() => decoderGraph(config, constants)).toThrow(message)
  })
})
