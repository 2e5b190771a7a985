/**
 * Every recipe in one table, perplexity and KL divergence from the original against total size with the processor time and
 * the largest memory of encoding, and in one plot.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/relatives.ts --out FOLDER
 *     [--models npm:@reallm/tiny,model.gguf] [--recipes rtn,gptq] [--bits 2,3,4] [--windows 40] [--effort normal]
 *     [--calib FILE] [--text FILE] [--seed 0] [--backend native]
 *
 * Every row is measured in a process of its own and kept as a line of FOLDER/rows.jsonl: a bench that was stopped goes on
 * in the middle of a row (whose processor time and memory are then not known), and further models, recipes or sizes are
 * added to those there. FOLDER/relatives.md, relatives.json and an SVG for each model are written after each row.
 * `--report` only writes them again.
 *
 * Pruning and reduced-order models come at 90, 80 and 50 % of the blocks' parameters, on 8 bits each.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type Effort, recipes } from '../../packages/pipeline/src/index.ts'
import type { BackendName } from '../../packages/transformer/src/index.ts'
import { writeReport } from './relatives/report.ts'
import type { Row, RowTask } from './relatives/row.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    models: { type: 'string', default: 'npm:@reallm/tiny' },
    recipes: { type: 'string', default: recipes.map(r => r.name).join() },
    bits: { type: 'string', default: '2,3,4' },
    windows: { type: 'string', default: '40' },
    effort: { type: 'string', default: 'normal' },
    calib: { type: 'string' },
    text: {
      type: 'string',
      default: new URL('../../packages/tiny/model/held-out.txt', import.meta.url).pathname,
    },
    seed: { type: 'string', default: '0' },
    backend: { type: 'string' },
    report: { type: 'boolean', default: false },
  },
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
if (!values.report) {
  const isKnown = (task: RowTask) =>
    rows.some(row => Object.entries(task).every(([name, value]) => row[name as keyof Row] === value))
  for (const task of tasks.filter(task => !isKnown(task))) {
    process.stderr.write(`${task.model} ${task.recipe} ${task.bits} bits\n`)
    const row = await measured(task)
    rows.push(row)
    await appendFile(file, `${JSON.stringify(row)}\n`)
    await writeReport(out, rows)
  }
}
await writeReport(out, rows)
process.stdout.write(await readFile(join(out, 'relatives.md'), 'utf8'))

async function measured(task: RowTask): Promise<Row> {
  const name = createHash('sha256').update(JSON.stringify(task)).digest('hex').slice(0, 16)
  const folder = join(out, `row-${name}`)
  await mkdir(folder, { recursive: true })
  const script = new URL('relatives/row.ts', import.meta.url).pathname
  const job = JSON.stringify({ task, to: join(folder, 'artifact') })
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, script, job])
  await rm(folder, { recursive: true })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

async function readRows(): Promise<Row[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').flatMap(line => (line ? [JSON.parse(line) as Row] : []))
}
