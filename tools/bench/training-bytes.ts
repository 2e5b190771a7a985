/**
 * Bytes that training holds, for full quantisation-aware training, LoRA on quantised weights, and LR-QAT with each of
 * its downcasts: between steps, and the most inside one.
 *
 *     npx tsx --conditions=@reallm/source tools/bench/training-bytes.ts packages/tiny/model [steps]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lrQat, type Tunable, trainable, tuneEndToEnd, windowsOf } from '../../packages/finetune/src/index.ts'
import {
  blockTensors,
  loadOuter,
  loadTensors,
  loadWeights,
  openWeights,
  tf,
  useBackend,
} from '../../packages/transformer/src/index.ts'

const [path = 'packages/tiny/model', steps = '3'] = process.argv.slice(2)
await useBackend()
const model = await openWeights(path)
const { config } = model
const text = readFileSync(join(path, 'held-out.txt'), 'utf8').slice(0, 20_000)
const all = windowsOf((await model.tokenizer()).encode(text), 128)
const windows = { train: all.slice(1), validation: [] }
const norms = Array.from({ length: config.layers }, (_, i) => [...blockTensors(config, i).keys()])
  .flat()
  .filter(name => /norm\.weight$/.test(name))
/** What LR-QAT needs beside its own weights. */
const outer = async () => ({ ...(await loadOuter(model)), ...(await loadTensors(model, norms)) })
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
console.table(rows)

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
  await tuneEndToEnd({ config, base, parts: watched, windows, ...run })
  const seconds = (performance.now() - start) / 1000 / Number(steps)
  if (!method.startsWith('LoRA')) tf.dispose(base)
  const megabytes = (bytes: number) => Number(((bytes + frozenBytes) / 1e6).toFixed(2))
  return {
    method,
    'MB between steps': megabytes(between),
    'MB at most': megabytes(most),
    's per step': Number(seconds.toFixed(2)),
  }
}
