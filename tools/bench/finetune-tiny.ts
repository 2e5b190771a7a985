// The embedded model at 2 bits before and after fine-tuning, on the WebAssembly backend alone: it learns the original's
// predictions on the first three quarters of the text that was kept from training and is measured on the last quarter.
//
//   npx tsx --conditions=@reallm/source tools/bench/finetune-tiny.ts [--steps 150] [--rank 4] [--factor-bits 6] [--record]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { perplexity } from '../../packages/eval/src/index.ts'
import { builtInRegistry, compress, finetune } from '../../packages/pipeline/src/index.ts'
import { openWeights, streamed, useBackend } from '../../packages/transformer/src/index.ts'
import { compression, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '150' },
    rank: { type: 'string', default: '4' },
    'factor-bits': { type: 'string', default: '6' },
  },
})
const finish = startBench({
  name: 'finetune-tiny',
  what: 'The embedded model at 2 bits before and after fine-tuning on the original’s predictions, WebAssembly alone.',
  sources: compression,
  columns: {
    model: { label: 'model' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 3 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    seconds: { label: 'seconds of tuning', unit: 's', digits: 0 },
    cpuSeconds: { label: 'CPU s', unit: 's', digits: 0 },
  },
  key: ['model'],
  seed: 0,
})
const original = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const text = await readFile(join(original, 'held-out.txt'), 'utf8')
const cut = text.indexOf('\n', 0.75 * text.length)
const work = await mkdtemp(join(tmpdir(), 'reallm-tiny-'))
const [data, compressed, tuned] = ['learnt.txt', 'two-bits', 'tuned'].map(name => join(work, name))
await writeFile(data, text.slice(0, cut))

await useBackend('wasm')
const source = await openWeights(original)
const tokens = (await source.tokenizer()).encode(text.slice(cut))

async function measure(directory: string) {
  const model = await openWeights(directory, { registry: builtInRegistry() })
  const protocol = { ctx: 256, against: streamed(source) }
  const { perplexity: value, kl } = await perplexity(streamed(model), tokens, protocol)
  await model.close()
  return { bytes: model.files.bytes, perplexity: value, kl: kl! }
}

await compress(original, { to: compressed, bits: 2, effort: 'fast', evaluate: false })
const start = { wall: performance.now(), cpu: process.cpuUsage() }
await finetune(compressed, {
  ...{
    to: tuned,
    data,
    teacher: original,
    length: 256,
    rows: 4,
    steps: Number(values.steps),
    backend: 'wasm',
  },
  ...{ rank: Number(values.rank), factorBits: Number(values['factor-bits']), learningRate: 2e-3 },
})
const { user, system } = process.cpuUsage(start.cpu)
const seconds = (performance.now() - start.wall) / 1000
finish([
  { model: 'original', ...(await measure(original)) },
  { model: '2 bits', ...(await measure(compressed)) },
  { model: 'tuned', ...(await measure(tuned)), seconds, cpuSeconds: (user + system) / 1e6 },
])
await source.close()
await rm(work, { recursive: true, force: true })
