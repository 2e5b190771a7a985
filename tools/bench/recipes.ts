/**
 * Every recipe in one table: perplexity and KL divergence from the original beside size, processor time and memory of
 * encoding.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/recipes.ts --out FOLDER
 *     [--models npm:@reallm/tiny,model.gguf] [--recipes rtn,gptq] [--bits 2,3,4] [--ctx 256] [--windows 40]
 *     [--effort normal] [--calib FILE] [--text FILE] [--seed 0] [--backend native] [--record]
 *
 * Every row is measured in a process of its own and kept as a line of FOLDER/rows.jsonl: an interrupted bench resumes in
 * the middle of a row (whose processor time and memory are then unknown), and further models, recipes or sizes are
 * added. The plots are drawn from docs/results by `npm run results`.
 *
 * Pruning and reduced-order models get 90, 80 and 50 % of the blocks' parameters, with 8 bits each.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type Effort, recipes } from '../../packages/pipeline/src/index.ts'
import type { BackendName } from '../../packages/transformer/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import type { Row, RowTask } from './recipes/row.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    models: { type: 'string', default: 'npm:@reallm/tiny' },
    recipes: { type: 'string', default: recipes.flatMap(r => (r.target ? [] : [r.name])).join() },
    bits: { type: 'string', default: '2,3,4' },
    ctx: { type: 'string', default: '256' },
    windows: { type: 'string', default: '40' },
    effort: { type: 'string', default: 'normal' },
    calib: { type: 'string' },
    text: {
      type: 'string',
      default: new URL('../../packages/tiny/model/held-out.txt', import.meta.url).pathname,
    },
    seed: { type: 'string', default: '0' },
    backend: { type: 'string' },
  },
})
const finish = startBench({
  name: 'recipes',
  what: 'Every recipe on the embedded model and on SmolLM2-135M-Instruct: size, perplexity, KL divergence from the original, time and memory.',
  sources: compression,
  columns: {
    model: { label: 'model' },
    recipe: { label: 'recipe' },
    asked: { label: 'asked for' },
    effort: { label: 'effort' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    bitsPerWeight: { label: 'bits per weight', unit: 'bits', digits: 2 },
    perplexity: { label: 'perplexity', unit: '', precision: 4 },
    ratio: { label: 'perplexity ÷ original’s', unit: '', precision: 4 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', precision: 3 },
    top1: { label: 'same top token, %', unit: 'share', scale: 100, digits: 0 },
    cpuSeconds: { label: 'encoding, CPU s', unit: 's', digits: 0 },
    peakMemory: { label: 'peak, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
    configurations: { label: 'matrices by configuration' },
  },
  key: ['model', 'recipe', 'asked'],
  seed: Number(values.seed),
})
if (!values.out) throw new Error('name a folder for the results: --out FOLDER')
const out = resolve(values.out)
await mkdir(out, { recursive: true })
const file = join(out, 'rows.jsonl')

/** Shares of the blocks' parameters, at 8 bits each. */
const BUDGETS = [0.9, 0.8, 0.5]
const budgeted = (recipe: string) => recipe === 'llm-rom' || recipe.startsWith('prune-')

const tasks: RowTask[] = values.models.split(',').flatMap(model => {
  const common = {
    model,
    effort: values.effort as Effort,
    seed: Number(values.seed),
    text: values.text,
    ctx: Number(values.ctx),
    windows: Number(values.windows),
    ...(values.calib && { calibration: values.calib }),
    ...(values.backend && { backend: values.backend as BackendName }),
  }
  const of = (recipe: string, bits: number, scope: 'all' | 'blocks' = 'all') => ({
    ...common,
    recipe,
    bits,
    scope,
  })
  return [
    of('original', 16),
    ...values.recipes
      .split(',')
      .flatMap(recipe =>
        budgeted(recipe)
          ? BUDGETS.map(share => of(recipe, 8 * share, 'blocks'))
          : values.bits.split(',').map(bits => of(recipe, Number(bits))),
      ),
  ]
})

const rows = await readRows()
const isKnown = (task: RowTask) =>
  rows.some(row => Object.entries(task).every(([name, value]) => row[name as keyof Row] === value))
for (const task of tasks.filter(task => !isKnown(task))) {
  process.stderr.write(`${task.model} ${task.recipe} ${task.bits} bits\n`)
  const row = await measured(task)
  rows.push(row)
  await appendFile(file, `${JSON.stringify(row)}\n`)
}
const originals = new Map(
  rows.flatMap(row => (row.recipe === 'original' ? [[row.model, row.perplexity!]] : [])),
)
const nameOf = ({ model }: Row) => basename(model).replace(/\.gguf$/, '')
finish(
  rows.map(row => ({
    ...{ model: nameOf(row), recipe: row.recipe, asked: askedOf(row), effort: row.effort },
    ...{ bytes: row.bytes, bitsPerWeight: row.bitsPerWeight, perplexity: row.perplexity },
    ...{ ratio: row.perplexity && row.perplexity / originals.get(row.model)!, kl: row.kl, top1: row.top1 },
    ...{ cpuSeconds: row.cpuSeconds, peakMemory: row.peakMemory },
    configurations: Object.entries(row.configurations ?? {})
      .map(([name, count]) => `${count} × ${name}`)
      .join('; '),
  })),
)

function askedOf({ recipe, scope, bits }: RowTask): string {
  if (recipe === 'original') return ''
  return scope === 'blocks' ? `${Math.round(12.5 * bits)} % of the blocks` : `${bits} bits`
}

async function measured(task: RowTask): Promise<Row> {
  const name = createHash('sha256').update(JSON.stringify(task)).digest('hex').slice(0, 16)
  const folder = join(out, `row-${name}`)
  await mkdir(folder, { recursive: true })
  const script = new URL('recipes/row.ts', import.meta.url).pathname
  const job = JSON.stringify({ task, to: join(folder, 'artifact') })
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, script, job])
  await rm(folder, { recursive: true })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

async function readRows(): Promise<Row[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').flatMap(line => (line ? [JSON.parse(line) as Row] : []))
}
