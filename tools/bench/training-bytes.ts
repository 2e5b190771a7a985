/**
 * Bytes that training holds, for full quantisation-aware training, LoRA on quantised weights, and LR-QAT with each of
 * its downcasts: between steps, and the most inside one.
 *
 *     npx tsx --conditions=@reallm/source tools/bench/training-bytes.ts packages/tiny/model [steps] [--record]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  lrQat,
  sequencesOf,
  type Tunable,
  trainable,
  tuneEndToEnd,
} from '../../packages/finetune/src/index.ts'
import {
  blockTensors,
  loadEmbeddingsAndHead,
  loadTensors,
  loadWeights,
  openWeights,
  tf,
  useBackend,
} from '../../packages/transformer/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const finish = startBench({
  name: 'training-bytes',
  what: 'Memory of training the embedded model (4 bits, rank 8, 2 × 128 tokens, gradient checkpointing): tensors and held weights together.',
  sources: packages('transformer', 'finetune'),
  columns: {
    method: { label: 'method' },
    between: { label: 'MB between steps', unit: 'bytes', scale: 1e-6, digits: 2 },
    most: { label: 'MB at most', unit: 'bytes', scale: 1e-6, digits: 2 },
    seconds: { label: 'seconds per step', unit: 's', digits: 2 },
  },
  key: ['method'],
  seed: 0,
})
const [path = 'packages/tiny/model', steps = '3'] = process.argv.slice(2)
await useBackend()
const model = await openWeights(path)
const { config } = model
const text = readFileSync(join(path, 'held-out.txt'), 'utf8').slice(0, 20_000)
const all = sequencesOf((await model.tokenizer()).encode(text), 128)
const sequences = { train: all.slice(1), validation: [] }
const norms = Array.from({ length: config.layers }, (_, i) => [...blockTensors(config, i).keys()])
  .flat()
  .filter(name => /norm\.weight$/.test(name))
/** What LR-QAT needs beside its own weights. */
const outer = async () => ({ ...(await loadEmbeddingsAndHead(model)), ...(await loadTensors(model, norms)) })
const bits = 4

const rows = []
for (const kind of ['f32', 'fp16', 'bf16', 'fixed8', 'packed'] as const) {
  const name = kind === 'f32' ? 'full QAT' : `LR-QAT, ${kind}`
  const parts = await lrQat(model, { bits, rank: kind === 'f32' ? 'full' : 8, downcast: kind })
  rows.push(await measure(name, parts, await outer(), parts.frozenBytes))
  parts.dispose()
}
const base = await loadWeights(model)
const lora = trainable(config, base, { rank: 8 }, 0)
rows.push(await measure('LoRA on decoded weights', lora, base, 0))
finish(rows)

async function measure(
  method: string,
  parts: Tunable,
  base: Awaited<ReturnType<typeof outer>>,
  frozenBytes: number,
) {
  let most = 0
  const sample = () => {
    most = Math.max(most, tf.memory().numBytes)
  }
  const watched: Tunable = {
    ...parts,
    apply(values, weights) {
      sample()
      return parts.apply(values, weights)
    },
  }
  let between = 0
  const onProgress = () => {
    between = tf.memory().numBytes
  }
  const run = { steps: Number(steps), rows: 2, learningRate: 1e-4, gradientCheckpointing: true, onProgress }
  const start = performance.now()
  await tuneEndToEnd({ config, base, parts: watched, sequences, ...run })
  const seconds = (performance.now() - start) / 1000 / Number(steps)
  if (!method.startsWith('LoRA')) tf.dispose(base)
  return { method, between: between + frozenBytes, most: most + frozenBytes, seconds }
}
