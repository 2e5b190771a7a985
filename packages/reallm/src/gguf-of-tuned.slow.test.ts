import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { builtInRegistry, compress } from '@reallm/pipeline'
import { byteLevelTokenizer, writeRandomModel } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { forward, loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import { expect, test, vi } from 'vitest'
import { reallm } from '../test/cli.ts'

vi.setConfig({ testTimeout: 240_000 })
const folder = workFolder()
const at = (name: string) => join(folder, name)

const config = {
  model_type: 'llama',
  vocab_size: 320,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 256,
  tie_word_embeddings: true,
}

/** Logits behind each token of a text. */
async function logitsOf(path: string): Promise<Float32Array> {
  const model = await openWeights(path, { registry: builtInRegistry() })
  const weights = await loadWeights(model)
  const ids = (await model.tokenizer()).encode('7 + 1 = 8, and 11 + 1 = 12')
  const logits = tf.tidy(() =>
    forward(model.config, weights, tf.tensor2d([ids], undefined, 'int32')).dataSync<'float32'>(),
  )
  tf.dispose(weights)
  await model.close()
  return logits
}

const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((v, i) => v - b[i]))

test('a fine-tuned artifact, or its base with its adapter, becomes a GGUF file of what was learned', async () => {
  await useBackend('wasm')
  const common = { effort: 'fast', evaluate: false, threads: 0, backend: 'wasm' } as const
  await writeRandomModel(at('original'), config, { tokenizer: byteLevelTokenizer() })
  await compress(at('original'), { ...common, recipe: 'rtn', bits: 8.5, to: at('base') })
  const sums = Array.from({ length: 60 }, (_, i) => ({ prompt: `${i} + 1 =`, completion: ` ${i + 1}` }))
  await writeFile(at('sums.jsonl'), sums.map(sum => JSON.stringify(sum)).join('\n'))
  const training = '--length 24 --rows 1 --steps 40 --rank 2 --learning-rate 0.03'.split(' ')
  const files = [at('base'), '--data', at('sums.jsonl'), '-o', at('tuned')]
  const tuning = await reallm(['finetune', ...files, ...training])
  expect(tuning.code, tuning.err).toBe(0)

  const gguf = { ...common, target: 'gguf', bits: 8.6 } as const
  await compress(at('tuned'), { ...gguf, to: at('tuned.gguf') })
  await compress(at('base'), { ...gguf, to: at('merged.gguf'), adapter: at('tuned') })
  const tuned = await logitsOf(at('tuned'))
  const learned = distance(await logitsOf(at('base')), tuned)
  for (const name of ['tuned.gguf', 'merged.gguf'])
    expect(distance(await logitsOf(at(name)), tuned), name).toBeLessThan(learned / 4)
})
