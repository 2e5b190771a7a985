import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load } from '@reallm/runtime'
import { random, seedFor, sizeOf } from '@reallm/tensor-io'
import type { HuggingFaceConfig } from '@reallm/tensor-io/models'
import { byteLevelTokenizer, fixture, openLlamaCpp, writeRandomModel } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { openWeights } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { compress, convertModel } from './index.ts'

vi.setConfig({ testTimeout: 180_000 })
const llama = await openLlamaCpp()
const folder = workFolder()
const original = join(folder, 'original')
const config = {
  model_type: 'llama',
  vocab_size: 320,
  hidden_size: 64,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 256,
  tie_word_embeddings: true,
}
beforeAll(async () => {
  vi.stubEnv('REALLM_CACHE', join(folder, 'cache'))
  await writeRandomModel(original, config, { tokenizer: byteLevelTokenizer() })
})
afterAll(async () => {
  vi.unstubAllEnvs()
  if (typeof llama !== 'string') await llama.close()
})

const options = { target: 'gguf', effort: 'fast', threads: 0, backend: 'wasm', evaluate: false } as const
const run = (to: string, more: object) => compress(original, { ...options, to: join(folder, to), ...more })

test('a GGUF file within its size, of the types that the widths allow, with its report beside it', async () => {
  const { size, matrices, recipe } = await run('sized.gguf', { bits: 5.2, evaluate: true })
  expect(recipe).toBe('gguf')
  expect(size.bytes).toBe((await stat(join(folder, 'sized.gguf'))).size)
  expect(size.bitsPerWeight).toBeLessThanOrEqual(5.2)
  expect(size.bitsPerWeight).toBeGreaterThan(4.9)
  for (const { codec, shape } of matrices) if (shape[1] === 64) expect(codec).not.toMatch(/_K|XS/)
  const report = JSON.parse(await readFile(join(folder, 'sized.reallm-report.json'), 'utf8'))
  expect(report.quality.compressed.kl).toBeLessThan(1)
  const written = await openWeights(join(folder, 'sized.gguf'))
  const types = new Set(
    [...written.files.tensors.values()].map(entry => (entry as { type?: { name: string } }).type?.name),
  )
  await written.close()
  for (const { codec } of matrices) expect(types).toContain(codec)
})

const recurrent = {
  ...{ ...config, hidden_size: 64, intermediate_size: 128 },
  layer_types: ['linear_attention', 'full_attention'],
}

test.skipIf(typeof llama === 'string').each<[string, HuggingFaceConfig | undefined]>([
  ['the embedded model', undefined],
  ['LFM2', { ...recurrent, model_type: 'lfm2', layer_types: ['conv', 'full_attention'] }],
  [
    'Granite 4 hybrid',
    {
      ...{
        ...recurrent,
        model_type: 'granitemoehybrid',
        num_local_experts: 0,
        shared_intermediate_size: 128,
      },
      ...{ mamba_n_heads: 8, mamba_d_state: 16, attention_multiplier: 0.2 },
    },
  ],
  [
    'Qwen3.5',
    {
      ...{ ...recurrent, model_type: 'qwen3_5_text', head_dim: 32 },
      ...{ linear_num_key_heads: 2, linear_num_value_heads: 2 },
      ...{ linear_key_head_dim: 32, linear_value_head_dim: 32, full_attention_interval: 2 },
    },
  ],
  [
    'Qwen3 with experts',
    {
      ...{ ...config, model_type: 'qwen3_moe', head_dim: 32, moe_intermediate_size: 64 },
      ...{ num_experts: 4, num_experts_per_tok: 2, norm_topk_prob: true },
    },
  ],
  [
    'gpt-oss',
    {
      ...{ ...config, model_type: 'gpt_oss', head_dim: 32, intermediate_size: 64 },
      ...{ num_local_experts: 4, num_experts_per_tok: 2, rope_scaling: null, sliding_window: 16 },
      tie_word_embeddings: false,
    },
  ],
  [
    'Granite 4 with experts',
    {
      ...{ ...recurrent, model_type: 'granitemoehybrid', intermediate_size: 64 },
      ...{ num_local_experts: 4, num_experts_per_tok: 2, shared_intermediate_size: 128 },
      ...{ mamba_n_heads: 8, mamba_d_state: 16, attention_multiplier: 0.2 },
    },
  ],
])('llama.cpp loads %s without a warning, and writes what the runtime writes', async (name, settings) => {
  if (typeof llama === 'string') return
  const source = settings ? join(folder, name) : fileURLToPath(new URL('../../tiny/model', import.meta.url))
  if (settings) await writeRandomModel(source, settings, { tokenizer: byteLevelTokenizer() })
  const path = join(folder, `${name}.gguf`)
  await compress(source, { ...options, to: path, bits: settings ? 8.8 : 6 })
  const [prompt] = await llama.tokenize(path, ['Once upon a time there was a little girl'])
  const { ids, warnings } = await llama.greedy(path, prompt, 12)
  expect(warnings).toEqual([])
  const model = await load(path, { weights: 'f32' })
  const session = model.session()
  const wanted: number[] = []
  let next: readonly number[] = prompt
  while (wanted.length < 12) {
    const logits = await session.feed(next)
    next = [logits.indexOf(Math.max(...logits))]
    if (model.eos.includes(next[0])) break
    wanted.push(next[0])
  }
  model.dispose()
  if (settings && String(ids) !== String(wanted)) {
    // Its activations of 8 bits may tip a near tie of random weights, or of their experts; those of float32 do not.
    const plain = join(folder, `${name} in float32.gguf`)
    const model = await openWeights(path)
    await convertModel(model, { to: plain, format: 'gguf', dtype: 'f32' })
    await model.close()
    expect((await llama.greedy(plain, prompt, 12)).ids).toEqual(wanted)
  } else expect(ids).toEqual(wanted)
})

test('experts of a stack in one type, those that are stored in MXFP4 as they are', async () => {
  const source = join(folder, 'mxfp4')
  const codes = [0, ...[0.5, 1, 1.5, 2, 3, 4, 6].flatMap(v => [v, -v])]
  const inMxfp4 = (name: string, shape: readonly number[]) => {
    if (!/experts.*proj\.weight/.test(name)) return undefined
    const draw = random(seedFor(5, name))
    const exponents = Array.from(
      { length: sizeOf(shape) / 32 },
      () => 2 ** (Math.floor(3 * draw.uniform()) - 5),
    )
    return Float32Array.from(
      { length: sizeOf(shape) },
      (_, i) => exponents[i >> 5] * (i % 32 === 0 ? 6 : codes[Math.floor(codes.length * draw.uniform())]),
    )
  }
  await writeRandomModel(
    source,
    {
      ...{ ...config, model_type: 'gpt_oss', head_dim: 32, intermediate_size: 64, num_hidden_layers: 1 },
      ...{ num_local_experts: 3, num_experts_per_tok: 2, rope_scaling: null },
    },
    { tokenizer: byteLevelTokenizer(), values: inMxfp4 },
  )
  const to = join(folder, 'mxfp4.gguf')
  const { matrices } = await compress(source, { ...options, to, bits: 9 })
  const codecs = new Set(matrices.flatMap(({ name, codec }) => (name.includes('experts') ? [codec] : [])))
  expect([...codecs]).toEqual(['MXFP4'])
  const [original, written] = [await openWeights(source), await openWeights(to)]
  for (const name of original.shapes.keys()) {
    if (!name.includes('experts')) continue
    expect((await written.read(name)).data).toEqual((await original.read(name)).data)
  }
  await Promise.all([original.close(), written.close()])
})

test('in parts, as llama.cpp splits a model', async () => {
  const { size } = await run('parts', { bits: 16, shardSize: 30_000 })
  const parts = (await readdir(join(folder, 'parts'))).filter(name => name.endsWith('.gguf'))
  expect(parts.length).toBeGreaterThan(2)
  const bytes = await Promise.all(parts.map(async name => (await stat(join(folder, 'parts', name))).size))
  expect(bytes.reduce((a, b) => a + b)).toBe(size.bytes)
  await run('whole.gguf', { bits: 16 })
  const whole = await openWeights(join(folder, 'whole.gguf'))
  const split = await openWeights(join(folder, 'parts', parts[0]))
  for (const name of whole.shapes.keys()) {
    expect((await split.read(name)).data).toEqual((await whole.read(name)).data)
  }
  await whole.close()
  await split.close()
})

test('refuses what GGUF cannot hold, before any work', async () => {
  await expect(run('no.gguf', { bits: 5, recipe: 'trellis' })).rejects.toThrow(
    'the recipe trellis stores what the target gguf cannot hold',
  )
  await expect(run('no.gguf', { bits: 5, shardSize: 1e6 })).rejects.toThrow(
    /one file, and a model in parts is several/,
  )
  await expect(compress(original, { to: join(folder, 'no'), bits: 5, recipe: 'gguf' })).rejects.toThrow(
    /target reallm/,
  )
  await expect(
    compress(fixture('models/llama-gqa-tied'), { ...options, to: join(folder, 'no.gguf'), bits: 5 }),
  ).rejects.toThrow(/model\.embed_tokens \[320×72\]: the recipe gguf does not fit: .* does not divide 72/)
})
