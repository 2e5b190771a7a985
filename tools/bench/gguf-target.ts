/**
 * GGUF files of one model by `compress --target gguf` and by llama.cpp's own types with an importance matrix, all scored by
 * llama.cpp's inference. Nothing that lies in the work folder is made or scored again, so that a stopped run goes on.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/gguf-target.ts MODEL --text FILE --calib FILE --sizes 70,80,90
 *     [--types Q4_K_M,Q3_K_M,…] [--effort fast] [--windows 24] [--ctx 512] [--name NAME] [--work DIR]
 *     [--python PYTHON] [--backend native] [--record]
 *
 * MODEL is a GGUF file or a directory. A size is in MB; `match` stands for the sizes of llama.cpp's files. llama_cpp.py says
 * what PYTHON and the environment need.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type CompressOptions, compress, convertModel } from '../../packages/pipeline/src/index.ts'
import { openWeights } from '../../packages/transformer/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import { llamaCpp, type Score } from './gguf-target/llama-cpp.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: 'string' },
    calib: { type: 'string' },
    sizes: { type: 'string', default: 'match' },
    types: { type: 'string', default: 'Q4_K_M,Q3_K_M,Q4_0,IQ4_XS,Q2_K,IQ3_XXS,IQ2_M' },
    effort: { type: 'string', default: 'fast' },
    windows: { type: 'string', default: '24' },
    ctx: { type: 'string', default: '512' },
    name: { type: 'string' },
    work: { type: 'string', default: 'tmp/gguf-target' },
    python: { type: 'string', default: 'python3' },
    backend: { type: 'string', default: 'wasm' },
  },
})
const [spec] = positionals
const { text, calib, work } = values
if (!spec || !text || !calib) throw new Error('needs MODEL, --text and --calib')
mkdirSync(work, { recursive: true })

const finish = startBench({
  name: 'gguf-target',
  what: 'GGUF files by compress --target gguf and by llama.cpp with an importance matrix, scored by llama.cpp.',
  sources: compression,
  columns: {
    model: { label: 'model' },
    made: { label: 'made by' },
    name: { label: 'file' },
    bytes: { label: 'whole file, MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    original: { label: 'perplexity of the original', unit: '', digits: 2 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    top1: { label: 'same top token, %', unit: 'share', scale: 100, digits: 1 },
    oursBytes: { label: 'ours at this size or below, MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    oursKl: { label: 'its KL', unit: 'nats per token', digits: 4 },
    less: { label: 'less KL, %', unit: 'share', scale: 100, digits: 0 },
  },
  key: ['model', 'made', 'name'],
  seed: 0,
})

type Row = Score & {
  readonly model: string
  readonly made: 'llama.cpp' | 'reallm'
  readonly name: string
  readonly bytes: number
}
const model = values.name ?? basename(spec, '.gguf')
const judge = llamaCpp({
  ...{ python: values.python, work, text, calibration: calib },
  ...{ windows: Number(values.windows), ctx: Number(values.ctx) },
})
const original = await judge.f16(await asGguf(spec))
const theirs: Row[] = []
for (const name of values.types.split(',').filter(Boolean)) {
  const file = await judge.quantised(original, name, await judge.imatrix(spec))
  theirs.push(await rowOf('llama.cpp', name, file))
}
const sizes = values.sizes
  .split(',')
  .flatMap(size => (size === 'match' ? theirs.map(({ bytes }) => bytes) : [Number(size) * 1e6]))
const ours: Row[] = []
for (const effort of values.effort.split(',') as NonNullable<CompressOptions['effort']>[]) {
  for (const targetSize of sizes) {
    const name = `${targetSize / 1e6} MB, \`${effort}\``
    const to = join(work, `reallm-${targetSize}-${effort}.gguf`)
    if (!existsSync(to)) {
      console.error(`making ${name} …`)
      const backend = values.backend as CompressOptions['backend']
      const about = { target: 'gguf', targetSize, effort, backend, calibration: calib } as const
      await compress(spec, { ...about, to, evaluate: false, seed: 0, resume: existsSync(`${to}.work`) })
    }
    ours.push(await rowOf('reallm', name, to))
  }
}
finish([...theirs.map(row => ({ ...row, ...bestWithin(row) })), ...ours])
process.exit(0)

/** The model in one GGUF file, as llama.cpp needs it. */
async function asGguf(place: string): Promise<string> {
  if (place.endsWith('.gguf')) return place
  const to = join(work, 'converted.gguf')
  if (existsSync(to)) return to
  const opened = await openWeights(place)
  await convertModel(opened, { to, dtype: 'f32' })
  await opened.close()
  return to
}

async function rowOf(made: Row['made'], name: string, file: string): Promise<Row> {
  const row = { model, made, name, bytes: statSync(file).size, ...(await judge.score(original, file)) }
  console.error(`${made} ${name}: ${(row.bytes / 1e6).toFixed(2)} MB, KL ${row.kl.toFixed(4)}`)
  return row
}

/** Our file with the least KL among those that are no larger. */
function bestWithin({ bytes, kl }: Row) {
  const fitting = ours.filter(row => row.bytes <= bytes)
  if (fitting.length === 0) return {}
  const best = fitting.reduce((a, b) => (b.kl < a.kl ? b : a))
  return { oursBytes: best.bytes, oursKl: best.kl, less: 1 - best.kl / kl }
}
