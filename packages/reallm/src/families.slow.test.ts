import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInRegistry, compress, finetune } from '@reallm/pipeline'
import { load } from '@reallm/runtime'
import { byteLevelTokenizer, fixture, goldenTests, writeRandomModel } from '@reallm/testing'
import {
  forward,
  linearModules,
  loadWeights,
  nextTokenLoss,
  openWeights,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, expect, test } from 'vitest'

const registry = builtInRegistry()
const scratch = mkdtempSync(join(tmpdir(), 'reallm-families-'))
const text = join(scratch, 'text.txt')
beforeAll(async () => {
  await useBackend('wasm')
  const words = Array.from({ length: 4000 }, (_, i) => `word${(i * i) % 97}${i % 7 === 0 ? '.\n' : ''}`)
  writeFileSync(text, words.join(' '))
})
afterAll(() => rmSync(scratch, { recursive: true }))

const small = {
  model_type: 'llama',
  vocab_size: 320,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  head_dim: 8,
  query_pre_attn_scalar: 8,
  sliding_window: 4,
  tie_word_embeddings: true,
}

const shortTraining = {
  data: text,
  steps: 2,
  length: 32,
  rows: 2,
  rank: 2,
  learningRate: 0.01,
  validation: 0,
  backend: 'wasm',
} as const

const ids = Array.from({ length: 24 }, (_, i) => (7 * i * i + 3) % 274)
const ids2d = () => tf.tensor2d([ids], undefined, 'int32')

test.each(goldenTests.compress)(
  '%s is compressed, run, trained and run with what was trained',
  async name => {
    const [source, artifact] = [join(scratch, name), join(scratch, `${name}-out`)]
    cpSync(fixture(`models/${name}`), source, { recursive: true })
    const { tokenizer, config } = byteLevelTokenizer()
    writeFileSync(join(source, 'tokenizer.json'), JSON.stringify(tokenizer))
    writeFileSync(join(source, 'tokenizer_config.json'), JSON.stringify(config))

    const options = { to: artifact, bits: 5, effort: 'fast', backend: 'wasm', calibration: text } as const
    await compress(source, { ...options, evaluate: false, threads: 1 })
    const [original, stored] = [await openWeights(source), await openWeights(artifact, { registry })]
    const modules = stored.config.layerSpecs.flatMap((_, i) => linearModules(stored.config, i))
    const encoded = [...stored.files.artifact!.modules.keys()]
    expect(encoded).toEqual(expect.arrayContaining(modules.map(({ name }) => name)))

    const [before, after] = [await loadWeights(original), await loadWeights(stored)]
    const loss = (weights: typeof before) =>
      tf.tidy(() => nextTokenLoss(stored.config, weights, ids2d()).dataSync()[0])
    expect(Math.abs(loss(after) - loss(before))).toBeLessThan(0.5)
    const logits = tf.tidy(() => forward(stored.config, after, ids2d()).dataSync())
    tf.dispose([before, after])
    await Promise.all([original.close(), stored.close()])

    const tuned = join(scratch, `${name}-adapter`)
    const { adapter } = await finetune(source, shortTraining)
    expect([...adapter!.modules.keys()]).toEqual(modules.map(({ name }) => name))
    await adapter!.save(tuned)

    const model = await load(artifact, { weights: 'f32' })
    const session = model.session()
    const got = await session.logits(ids)
    expect(Math.max(...got.map((v, i) => Math.abs(v - logits[i])))).toBeLessThan(1e-3)

    await model.useAdapter(tuned)
    session.truncate(0)
    const changed = await session.logits(ids)
    expect(Math.max(...changed.map((v, i) => Math.abs(v - got[i])))).toBeGreaterThan(1e-4)
    model.dispose()
  },
)

test.each([
  ['an exact GELU', { hidden_act: 'gelu' }],
  [
    'keys that are values, of two head sizes',
    {
      ...{ model_type: 'gemma4_text', attention_k_eq_v: true, global_head_dim: 16, num_hidden_layers: 3 },
      ...{ hidden_size_per_layer_input: 0, num_key_value_heads: 2, num_global_key_value_heads: 1 },
      layer_types: ['sliding_attention', 'full_attention', 'full_attention'],
    },
  ],
  ['soft caps', { attn_logit_softcapping: 2, final_logit_softcapping: 3, model_type: 'gemma2' }],
])('transformer and runtime compute %s alike', async (name, changes) => {
  const folder = join(scratch, name)
  await writeRandomModel(folder, { ...small, ...changes })
  const source = await openWeights(folder)
  const weights = await loadWeights(source)
  const wanted = tf.tidy(() => forward(source.config, weights, ids2d()).dataSync())
  tf.dispose(weights)
  await source.close()
  using model = await load(folder, { weights: 'f32' })
  const got = await model.session().logits(ids)
  expect(Math.max(...got.map((v, i) => Math.abs(v - wanted[i])))).toBeLessThan(1e-4)
})

test('experts that no token reaches are stored, and left as they are by training', async () => {
  const [source, to] = [join(scratch, 'unreached'), join(scratch, 'unreached-out')]
  const model = {
    ...{ model_type: 'gpt_oss', num_local_experts: 3, num_experts_per_tok: 1, num_key_value_heads: 2 },
    ...{ vocab_size: 320, hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1 },
    ...{ num_attention_heads: 4, head_dim: 8, rope_scaling: null },
  }
  await writeRandomModel(source, model, {
    tokenizer: byteLevelTokenizer(),
    values: name => (name.endsWith('router.bias') ? Float32Array.of(0, -1000, 0) : undefined),
  })
  const { matrices } = await compress(source, {
    ...{ to, bits: 5, effort: 'fast', backend: 'wasm', calibration: text, evaluate: false, threads: 1 },
  })
  const expert = 'model.layers.0.mlp.experts.1.'
  const unreached = matrices.filter(({ name }) => name.startsWith(expert))
  expect(unreached).toHaveLength(3)
  for (const { plainError } of unreached) expect(plainError).toBeLessThan(0.1)
  const { adapter } = await finetune(source, shortTraining)
  const changed = (name: string) => adapter!.modules.get(name)!.b.data.some(v => v !== 0)
  expect(changed(`${expert}up_proj`)).toBe(false)
  expect(changed('model.layers.0.self_attn.q_proj')).toBe(true)
})
