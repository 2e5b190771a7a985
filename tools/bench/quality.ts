/**
 * Quality against size on a real model, beside the types of GGUF: compresses with the command line as anybody would,
 * measures with `reallm eval`, prints one table with ratios to the original.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/quality.ts --model MODEL.gguf --calib TEXT --text TEXT --out FOLDER
 *     [--rows blocks-2,blocks-3,blocks-4,45MB,56MB,62MB,70MB] [--effort normal] [--windows 24] [--backend native]
 *     [--artifacts name=DIR,…]
 *
 * Rows: `blocks-N` stores the blocks' matrices on N bits per weight and leaves the embedding as it is; a size is that of
 * the whole file. Artifacts stay in FOLDER; what is there is not made again, what was stopped goes on. `--artifacts`
 * measures others beside them, such as fine-tuned ones.
 *
 * The GGUF types are those of SmolLM2-135M made with an importance matrix and measured by llama.cpp, with its own window
 * handling: compare ratios to the original. With LLAMA_CPP naming a folder that has llama-quantize, llama-imatrix and
 * llama-perplexity, they are made from MODEL and measured here instead.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { CompressReport } from '../../packages/pipeline/src/index.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    calib: { type: 'string' },
    text: { type: 'string' },
    out: { type: 'string' },
    rows: { type: 'string', default: 'blocks-2,blocks-3,blocks-4,45MB,56MB,62MB,70MB' },
    effort: { type: 'string', default: 'normal' },
    windows: { type: 'string', default: '24' },
    backend: { type: 'string' },
    artifacts: { type: 'string', default: '' },
  },
})
const { model, calib, text } = values
if (!model || !calib || !text || !values.out) throw new Error('needs --model, --calib, --text and --out')
const out = resolve(values.out)
await mkdir(out, { recursive: true })

interface Measured {
  readonly bytes: number
  readonly perplexity: number
  readonly kl?: number
  readonly top1?: number
}
interface Line {
  readonly name: string
  readonly bytes: number
  readonly perplexity: number
  readonly ratio: number
  readonly kl?: number
  readonly top1?: number
  readonly report?: CompressReport
}

const run = promisify(execFile)
const cli = new URL('../../packages/reallm/bin/reallm.js', import.meta.url).pathname

const original = await evaluated('original', model)
const lines: Line[] = [line('original', original, original.perplexity)]
const kept = values.artifacts.split(',').filter(Boolean)
const made = values.rows.split(',').filter(Boolean)
for (const [name, folder] of [
  ...made.map(name => [name, join(out, `${name}-${values.effort}`)]),
  ...kept.map(pair => pair.split('=')),
]) {
  if (!(await exists(folder))) await compressed(name, folder)
  const report = await readFile(join(folder, 'reallm-report.json'), 'utf8').catch(() => undefined)
  const measured = await evaluated(name, folder, model)
  lines.push({
    ...line(name, measured, original.perplexity),
    ...(report !== undefined && { report: JSON.parse(report) as CompressReport }),
  })
}
lines.push(...(process.env.LLAMA_CPP ? await ggufTypes(process.env.LLAMA_CPP) : knownGgufTypes()))
await writeFile(
  join(out, 'quality.json'),
  `${JSON.stringify({ date: new Date(), options: values, lines }, null, 2)}\n`,
)
console.table(
  lines.map(({ name, bytes, perplexity, ratio, kl, top1, report }) => ({
    name,
    MB: Number((bytes / 1e6).toFixed(2)),
    perplexity: Number(perplexity.toFixed(3)),
    'ratio to original': Number(ratio.toFixed(4)),
    KL: kl === undefined ? '' : Number(kl.toFixed(4)),
    'same token %': top1 === undefined ? '' : Number((100 * top1).toFixed(1)),
    'bits/weight': report ? Number(report.size.bitsPerWeight.toFixed(3)) : '',
    seconds: report ? Math.round(report.seconds) : '',
    'CPU s': report ? Math.round(report.cpuSeconds) : '',
    'peak MB': report ? Math.round(report.peakMemory / 1e6) : '',
  })),
)

function line(name: string, { bytes, perplexity, kl, top1 }: Measured, of: number): Line {
  const compared = { ...(kl !== undefined && { kl }), ...(top1 !== undefined && { top1 }) }
  return { name, bytes, perplexity, ratio: perplexity / of, ...compared }
}

/** Measured once: kept beside the artifacts, under the artifact's time of change. */
async function evaluated(name: string, spec: string, against?: string): Promise<Measured> {
  const file = join(out, `${name}-${values.effort}.eval.json`)
  const options = { spec, against, text, windows: values.windows, changed: (await stat(spec)).mtimeMs }
  const known = await readFile(file, 'utf8').then(JSON.parse, () => undefined)
  if (JSON.stringify(known?.options) === JSON.stringify(options)) return known.measured
  process.stderr.write(`measuring ${name} …\n`)
  const { stdout } = await run(process.execPath, [
    ...[cli, 'eval', spec, '--text', text!, '--windows', values.windows, '--json'],
    ...(against ? ['--against', against] : []),
  ])
  const measured = JSON.parse(stdout) as Measured
  await writeFile(file, JSON.stringify({ options, measured }))
  return measured
}

async function compressed(name: string, folder: string): Promise<void> {
  process.stderr.write(`compressing ${name} …\n`)
  const blocks = /^blocks-([\d.]+)$/.exec(name)
  const args = [
    ...[cli, 'compress', model!, '-o', folder, '--calib', calib!, '--effort', values.effort],
    ...(blocks ? ['--blocks-only', '-b', blocks[1]] : ['--target-size', name]),
    ...(values.backend ? ['--backend', values.backend] : []),
    ...((await exists(`${folder}.work`)) ? ['--resume'] : []),
  ]
  await new Promise<void>((done, failed) => {
    spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      .once('error', failed)
      .once('exit', code => (code === 0 ? done() : failed(new Error(`compress ended with ${code}`))))
  })
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** SmolLM2-135M-Instruct, with an importance matrix, as llama.cpp made and measured them (its original: 25.079). */
function knownGgufTypes(): Line[] {
  const types: [string, number, number][] = [
    ['Q3_K_M', 93.5e6, 26.99],
    ['Q2_K', 88.2e6, 29.07],
    ['IQ3_XXS', 87.0e6, 30.11],
    ['IQ2_M', 85.6e6, 33.6],
    ['IQ2_XXS', 83.8e6, 41.55],
  ]
  return types.map(([type, bytes, perplexity]) => ({
    name: `GGUF ${type} (kept figure)`,
    bytes,
    perplexity,
    ratio: perplexity / 25.079,
  }))
}

async function ggufTypes(bin: string): Promise<Line[]> {
  const tool = (name: string, args: string[]) => run(join(bin, name), args, { maxBuffer: 2 ** 28 })
  const scored = async (file: string): Promise<Measured> => {
    const args = ['-m', file, '-f', text!, '-c', '512', '--chunks', values.windows]
    const { stdout, stderr } = await tool('llama-perplexity', args)
    const found = /Final estimate: PPL = ([\d.]+)/.exec(stdout + stderr)
    if (!found) throw new Error(`llama-perplexity said no perplexity of ${file}`)
    return { bytes: (await stat(file)).size, perplexity: Number(found[1]) }
  }
  const matrix = join(out, 'imatrix.gguf')
  if (!(await exists(matrix))) await tool('llama-imatrix', ['-m', model!, '-f', calib!, '-o', matrix])
  const base = await scored(model!)
  const lines: Line[] = [line('GGUF original, by llama.cpp', base, base.perplexity)]
  for (const type of ['Q3_K_M', 'Q2_K', 'IQ3_XXS', 'IQ2_M', 'IQ2_XXS']) {
    const file = join(out, `${type}.gguf`)
    if (!(await exists(file)))
      await tool('llama-quantize', ['--allow-requantize', '--imatrix', matrix, model!, file, type])
    lines.push(line(`GGUF ${type}`, await scored(file), base.perplexity))
  }
  return lines
}
