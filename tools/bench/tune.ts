/**
 * Training after rounding: a model compressed to the same size without and with `--tune`, measured on held-out text.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/tune.ts [--model MODEL --name NAME --text TEXT --calib TEXT]
 *     [--rows 2,2.5,45MB] [--steps 200 | --minutes 60] [--effort fast] [--backend native] [--ctx 256] [--windows 24]
 *     [--out FOLDER] [--record]
 *
 * Rows: bits per weight of the whole model, or the size of its file. Without --model: the embedded one and the text that was kept
 * from its training. Artifacts stay in FOLDER; those that are there are not made again, interrupted ones go on.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Evaluation, perplexity } from '../../packages/eval/src/index.ts'
import {
  builtInRegistry,
  type CompressReport,
  compress,
  type Effort,
} from '../../packages/pipeline/src/index.ts'
import { type BackendName, openWeights, streamed, useBackend } from '../../packages/transformer/src/index.ts'
import { compression, startBench } from '../results/record.ts'

const embedded = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: embedded },
    name: { type: 'string', default: 'embedded model' },
    text: { type: 'string', default: join(embedded, 'held-out.txt') },
    calib: { type: 'string' },
    rows: { type: 'string', default: '2,2.5' },
    steps: { type: 'string', default: '200' },
    minutes: { type: 'string' },
    effort: { type: 'string', default: 'fast' },
    backend: { type: 'string' },
    ctx: { type: 'string', default: '256' },
    windows: { type: 'string', default: '24' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log((await readFile(import.meta.filename, 'utf8')).split(' */')[0])
  process.exit(0)
}
const finish = startBench({
  name: 'tune',
  what: 'Models compressed to the same size without and with training of row factors and norms after rounding, on text that was not calibrated on.',
  sources: compression,
  columns: {
    model: { label: 'model' },
    size: { label: 'asked for' },
    trained: { label: 'trained' },
    bytes: { label: 'whole file, MB', unit: 'bytes', scale: 1e-6, digits: 3 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    ratio: { label: 'ratio to the original', unit: 'ratio', digits: 3 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    cpuSeconds: { label: 'CPU s', unit: 's', digits: 0 },
    peakMemory: { label: 'peak, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['model', 'size', 'trained'],
  seed: 0,
})
const out = values.out ? resolve(values.out) : await mkdtemp(join(tmpdir(), 'reallm-tune-'))
await mkdir(out, { recursive: true })
const backend = values.backend as BackendName | undefined
await useBackend(backend)
const original = await openWeights(values.model)
const tokens = (await original.tokenizer()).encode(await readFile(values.text, 'utf8'))
const budget =
  values.minutes === undefined ? { steps: Number(values.steps) } : { minutes: Number(values.minutes) }

const rows = []
for (const size of values.rows.split(',')) {
  for (const tune of [undefined, budget]) {
    const report = await compressed(size, tune)
    const { perplexity: value, kl, otherLoss } = await measured(join(out, nameOf(size, tune)))
    const { cpuSeconds, peakMemory } = report
    rows.push({
      ...{ model: values.name, size: /B$/.test(size) ? size : `${size} bits per weight` },
      trained: report.tuning ? `${report.tuning.steps} steps` : 'no',
      ...{ bytes: report.size.bytes, perplexity: value, ratio: value / Math.exp(otherLoss!), kl },
      ...{ cpuSeconds, peakMemory },
    })
  }
}
await original.close()
finish(rows)

function nameOf(size: string, tune: typeof budget | undefined): string {
  return `${size}-${values.effort}${tune ? `-${'steps' in tune ? `${tune.steps}-steps` : `${tune.minutes}-minutes`}` : ''}`
}

async function compressed(size: string, tune: typeof budget | undefined): Promise<CompressReport> {
  const to = join(out, nameOf(size, tune))
  const done = join(to, 'reallm-report.json')
  if (existsSync(done)) return JSON.parse(await readFile(done, 'utf8'))
  console.error(`compressing to ${size}${tune ? ', and training' : ''} …`)
  const megabytes = /^([\d.]+)MB$/.exec(size)
  return compress(values.model, {
    ...(megabytes ? { targetSize: 1e6 * Number(megabytes[1]) } : { bits: Number(size) }),
    ...{ to, tune, backend, effort: values.effort as Effort, calibration: values.calib },
    ...{ evaluate: false, resume: existsSync(`${to}.work`) },
  })
}

async function measured(directory: string): Promise<Evaluation> {
  const model = await openWeights(directory, { registry: builtInRegistry() })
  try {
    const protocol = { ctx: Number(values.ctx), windows: Number(values.windows) }
    return await perplexity(streamed(model), tokens, { ...protocol, against: streamed(original) })
  } finally {
    await model.close()
  }
}
