/**
 * `compress --target onnx` against rounding every matrix to 4 bits to nearest, as converters do, at the same size. Both files are
 * judged by ONNX Runtime's own inference, on the second halves of windows of 512 tokens.
 *
 *     npx tsx --conditions=@reallm/source tools/bench/onnx-target.ts MODEL --text FILE [--calib FILE] [--windows 24]
 *         [--effort normal] [--backend native] [--work DIR] [--record]
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { windowsOf } from '../../packages/eval/src/index.ts'
import { type CompressOptions, type CompressReport, compress } from '../../packages/pipeline/src/index.ts'
import { textOf } from '../../packages/tensor-io/src/index.ts'
import {
  type BackendName,
  forward,
  loadWeights,
  openWeights,
  tf,
  useBackend,
  valuesOf,
} from '../../packages/transformer/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import { nearest } from './onnx-target/nearest.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: 'string' },
    calib: { type: 'string' },
    windows: { type: 'string', default: '24' },
    effort: { type: 'string', default: 'normal' },
    backend: { type: 'string', default: 'wasm' },
    work: { type: 'string', default: 'tmp/onnx-target' },
    record: { type: 'boolean' },
  },
})
const [spec] = positionals
const finish = startBench({
  name: 'onnx-target',
  what: 'ONNX files of one size: every matrix rounded to nearest on 4 bits, and by compress --target onnx; judged by ONNX Runtime.',
  sources: compression,
  columns: {
    model: { label: 'model' },
    made: { label: 'made by' },
    bytes: { label: 'file, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    original: { label: 'perplexity of the original', unit: '', digits: 2 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL', unit: 'nats per token', digits: 4 },
    top1: { label: 'top-1', unit: '', digits: 3 },
    effort: { label: 'effort' },
    cpuSeconds: { label: 'processor time', unit: 's', digits: 0 },
  },
  key: ['model', 'made', 'effort'],
  seed: 0,
})
const effort = values.effort as 'fast' | 'normal' | 'best'
const backend = values.backend as BackendName

const common = {
  effort,
  backend,
  calibration: values.calib,
  evaluate: false,
  resume: true,
  force: true,
  seed: 0,
} as const
const plain = await once({
  ...common,
  to: join(values.work, 'nearest'),
  recipe: nearest,
  target: 'onnx',
  bits: 6,
})
const found = await once({
  ...common,
  to: join(values.work, 'searched'),
  target: 'onnx',
  targetSize: plain.size.bytes,
})

const ort = createRequire(new URL('../../packages/pipeline/package.json', import.meta.url))(
  'onnxruntime-node',
)
await useBackend(backend)
const model = await openWeights(spec)
const { config } = model
const ids = (await model.tokenizer()).encode(textOf(values.text!, readFileSync(values.text!)))
const windows = windowsOf(ids, { windows: Number(values.windows) })
const weights = await loadWeights(model)

/** The part of onnxruntime-node that is used; the packages have it for their tests. */
interface Session {
  run(feeds: Record<string, unknown>): Promise<{ logits: { data: Float32Array } }>
}
interface Judged {
  readonly name: string
  readonly report: CompressReport
  readonly session: Session
  loss: number
  kl: number
  top1: number
}
const judged: Judged[] = []
for (const [name, report] of Object.entries({ nearest: plain, searched: found })) {
  const file = join(values.work, name, 'onnx', 'model_q4.onnx')
  judged.push({ name, report, session: await ort.InferenceSession.create(file), loss: 0, kl: 0, top1: 0 })
}
let original = 0
let tokens = 0
for (const { ids: window, from } of windows) {
  const wanted = valuesOf(() => forward(config, weights, tf.tensor2d([[...window]], undefined, 'int32')))
  for (const each of judged) {
    const got = await logitsOf(each.session, window)
    for (let t = from; t < window.length; t++) {
      const row = (all: ArrayLike<number>) =>
        logShares(all as Float32Array, (t - 1) * config.vocabSize, config.vocabSize)
      const [p, q] = [row(wanted), row(got)]
      if (each === judged[0]) {
        original -= p[window[t]]
        tokens++
      }
      each.loss -= q[window[t]]
      let [best, other] = [0, 0]
      for (let i = 0; i < p.length; i++) {
        each.kl += Math.exp(p[i]) * (p[i] - q[i])
        if (p[i] > p[best]) best = i
        if (q[i] > q[other]) other = i
      }
      if (best === other) each.top1++
    }
  }
  console.error(`${tokens} tokens`)
}
finish(
  judged.map(({ name, report, loss, kl, top1 }) => ({
    ...{ model: basename(spec), made: name, effort, bytes: report.size.bytes, cpuSeconds: report.cpuSeconds },
    ...{
      original: Math.exp(original / tokens),
      perplexity: Math.exp(loss / tokens),
      kl: kl / tokens,
      top1: top1 / tokens,
    },
  })),
)
process.exit(0)

/** What an earlier start of this bench finished is not made again. */
async function once(options: CompressOptions): Promise<CompressReport> {
  const report = join(options.to, 'reallm-report.json')
  if (existsSync(report)) return JSON.parse(readFileSync(report, 'utf8'))
  return compress(spec, options)
}

async function logitsOf(session: Session, window: readonly number[]): Promise<Float32Array> {
  const shape = [1, window.length]
  const feeds: Record<string, unknown> = {
    input_ids: new ort.Tensor('int64', BigInt64Array.from(window, BigInt), shape),
    attention_mask: new ort.Tensor('int64', new BigInt64Array(window.length).fill(1n), shape),
  }
  for (const [i, { mixer }] of config.layerSpecs.entries()) {
    if (mixer.kind !== 'attention') continue
    for (const what of ['key', 'value']) {
      feeds[`past_key_values.${i}.${what}`] = new ort.Tensor(
        'float32',
        [],
        [1, mixer.kvHeads, 0, mixer.headDim],
      )
    }
  }
  const { logits } = await session.run(feeds)
  return logits.data as Float32Array
}

/** Log-probabilities of a row of logits. */
function logShares(all: Float32Array, from: number, count: number): Float64Array {
  const row = Float64Array.from(all.subarray(from, from + count))
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity)
  const total = Math.log(row.reduce((sum, v) => sum + Math.exp(v - top), 0)) + top
  return row.map(v => v - total)
}
