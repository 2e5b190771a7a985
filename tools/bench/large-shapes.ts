/**
 * First blocks of models of several sizes, made up, compressed within one memory: what the process takes at its peak, and
 * how long it quantises, beside what was planned, and processor time per weight beside that of SmolLM2-135M's blocks.
 * Vocabularies are small, so that blocks decide; `vocabulary` is the opposite: one block, and embedding and evaluation with it.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/large-shapes.ts [--shapes 135M,1B,7B,vocabulary] [--max-memory SIZE] [--effort fast]
 *     [--recipe reallm] [--backend wasm] [--tokens 512] [--work DIR] [--record]
 *
 * `npm run build` first: workers run what is built.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { random } from '../../packages/tensor-io/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import { type BlockShape, writeBlocks } from './large-shapes/write-blocks.ts'

const { values } = parseArgs({
  options: {
    shapes: { type: 'string', default: '135M,1B,7B' },
    'max-memory': { type: 'string' },
    effort: { type: 'string', default: 'fast' },
    recipe: { type: 'string', default: 'reallm' },
    backend: { type: 'string', default: 'wasm' },
    tokens: { type: 'string', default: '512' },
    work: { type: 'string', default: 'tmp/large-shapes' },
  },
})
const memory = values['max-memory']
const bits = 3

const shapes: Readonly<Record<string, BlockShape>> = {
  '135M': { layers: 3, hidden: 576, inner: 1536, heads: 9, kvHeads: 3 },
  '1B': { layers: 1, hidden: 2048, inner: 8192, heads: 32, kvHeads: 8 },
  '7B': { layers: 1, hidden: 4096, inner: 11008, heads: 32, kvHeads: 32 },
  vocabulary: { layers: 1, hidden: 640, inner: 2048, heads: 4, kvHeads: 1, vocabulary: 262144 },
}
const like: Readonly<Record<string, string>> = {
  '135M': 'SmolLM2-135M',
  '1B': 'Llama-3.2-1B',
  '7B': 'Llama-2-7B',
  vocabulary: 'Gemma-3-270M',
}

const finish = startBench({
  name: 'large-shapes',
  what: 'Blocks of the shapes of larger models, with made-up weights, compressed within one memory.',
  sources: compression,
  columns: {
    like: { label: 'blocks like' },
    blocks: { label: 'blocks', unit: '', digits: 0 },
    weights: { label: 'million weights', unit: 'weights', scale: 1e-6, digits: 1 },
    settings: { label: 'settings' },
    asked: { label: '--max-memory' },
    expected: { label: 'planned, GB', unit: 'bytes', scale: 1e-9, digits: 2 },
    peak: { label: 'peak, GB', unit: 'bytes', scale: 1e-9, digits: 2 },
    cpu: { label: 'CPU s per million weights', unit: 'seconds', digits: 2 },
    expectedTime: { label: 'CPU s to quantise, planned', unit: 'seconds', digits: 0 },
    time: { label: 'taken', unit: 'seconds', digits: 0 },
    ratio: { label: 'times 135M', unit: '', digits: 2 },
    planned: { label: 'planned size, MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    bytes: { label: 'size, MB', unit: 'bytes', scale: 1e-6, digits: 2 },
  },
  key: ['like', 'settings', 'asked'],
  seed: 0,
})

interface Plan {
  readonly bytes: number
  readonly memory: number
  readonly time: { readonly cpuSeconds: number }
}
interface Report {
  readonly size: { readonly bytes: number }
  readonly cpuSeconds: number
  readonly stages: { readonly quantise: { readonly cpuSeconds: number } }
  readonly peakMemory: number
}

const work = resolve(values.work)
const cli = resolve('packages/reallm/bin/reallm.js')
const settings = `${values.recipe}, ${values.effort}, ${values.backend}, ${availableParallelism()} threads, ${values.tokens} tokens`
let reference: number | undefined
for (const name of values.shapes.split(',')) {
  const shape = shapes[name]
  if (!shape) throw new Error(`unknown shape ${name}: ${Object.keys(shapes).join(', ')}`)
  const folder = join(work, name)
  const inBlocks = writeBlocks(folder, shape)
  const weights = shape.vocabulary ? inBlocks + shape.vocabulary * shape.hidden : inBlocks
  const calib = join(work, 'tokens.json')
  writeFileSync(calib, JSON.stringify(tokens(Number(values.tokens), shape)))
  const run = <T>(...more: string[]): T => {
    const args = [cli, 'compress', folder, '-o', join(work, `${name}.out`), '-b', `${bits}`, '--json']
    if (!shape.vocabulary) args.push('--blocks-only')
    const options = [
      '--recipe',
      values.recipe,
      '--effort',
      values.effort,
      '--backend',
      values.backend,
      '--calib',
      calib,
      ...(memory === undefined ? [] : ['--max-memory', memory]),
    ]
    const env = { ...process.env, REALLM_CACHE: join(work, `${name}.cache`) }
    const output = execFileSync(process.execPath, [...args, ...options, ...more], { env, maxBuffer: 2 ** 28 })
    return JSON.parse(output.toString()) as T
  }
  rmSync(join(work, `${name}.cache`), { recursive: true, force: true })
  const report = run<Report>('--force', ...(shape.vocabulary ? [] : ['--no-eval']))
  // What was measured is kept, so that planning after it is free.
  const plan = run<Plan>('--dry-run')
  const cpu = report.cpuSeconds / (weights / 1e6)
  if (name === '135M') reference = cpu
  finish([
    {
      ...{ like: like[name], blocks: shape.layers, weights, settings, asked: memory ?? 'default' },
      ...{ expected: plan.memory, peak: report.peakMemory, cpu, ratio: reference && cpu / reference },
      ...{ expectedTime: plan.time.cpuSeconds, time: report.stages.quantise.cpuSeconds },
      ...{ planned: plan.bytes, bytes: report.size.bytes },
    },
  ])
}

/** Rows of token ids. */
function tokens(count: number, { vocabulary = 2048 }: BlockShape): number[] {
  mkdirSync(work, { recursive: true })
  const { integer } = random(1)
  return Array.from({ length: count }, () => integer(vocabulary))
}
