/**
 * Size and quality of a real model: compresses with the command line as anybody would and measures with `reallm eval`.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/quality.ts --model MODEL.gguf --calib TEXT [--calib TEXT …] --text TEXT --out FOLDER
 *     [--rows blocks-2,blocks-3,blocks-4,45MB,56MB,62MB,70MB] [--effort normal] [--windows 24] [--backend native]
 *     [--max-memory 1.2GB] [--artifacts name=DIR,…] [--record]
 *
 * Rows: `gguf-70MB` is a GGUF file of this size (`--target gguf`). `blocks-N` stores the blocks' matrices with N bits per weight and leaves embeddings and head as they are; a size is
 * that of the whole file. Artifacts stay in FOLDER; those that are there are not made again, interrupted ones resume.
 * `--artifacts` measures others beside them, such as fine-tuned ones.
 *
 * With LLAMA_CPP naming a folder that has llama-quantize, llama-imatrix and llama-perplexity, llama.cpp's types are made
 * from MODEL and measured too, by its own program with its own handling of windows: compare ratios.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { CompressReport } from '../../packages/pipeline/src/index.ts'
import { compression, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    calib: { type: 'string', multiple: true },
    text: { type: 'string' },
    out: { type: 'string' },
    rows: { type: 'string', default: 'blocks-2,blocks-3,blocks-4,45MB,56MB,62MB,70MB' },
    effort: { type: 'string', default: 'normal' },
    windows: { type: 'string', default: '24' },
    backend: { type: 'string' },
    'max-memory': { type: 'string' },
    artifacts: { type: 'string', default: '' },
  },
})
const { model, calib, text } = values
if (!model || !calib || !text || !values.out) throw new Error('needs --model, --calib, --text and --out')
const out = resolve(values.out)
await mkdir(out, { recursive: true })

const columns = {
  program: { label: 'made by' },
  name: { label: 'model' },
  bytes: { label: 'whole file, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
  bitsPerWeight: { label: 'bits per weight', unit: 'bits', digits: 2 },
  perplexity: { label: 'perplexity', unit: '', digits: 2 },
  ratio: { label: 'ratio to the original', unit: 'ratio', digits: 3 },
  kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 3 },
  top1: { label: 'same top token, %', unit: 'share', scale: 100, digits: 1 },
  seconds: { label: 'seconds', unit: 's', digits: 0 },
  cpuSeconds: { label: 'CPU s', unit: 's', digits: 0 },
  peakMemory: { label: 'peak, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
}
const about = {
  name: 'quality',
  what: 'SmolLM2-135M-Instruct from its Q4_1 GGUF, taken as the original, on WikiText-2 (raw test): size against what is lost.',
  columns,
  key: ['program', 'name'],
}
const finish = startBench({ ...about, sources: compression, seed: 0 })
const finishOthers = startBench({ ...about, sources: [], seed: null })

interface Measured {
  readonly bytes: number
  readonly perplexity: number
  readonly kl?: number
  readonly top1?: number
}

const run = promisify(execFile)
const cli = new URL('../../packages/reallm/bin/reallm.js', import.meta.url).pathname

const original = await evaluated('original', model)
const rows = []
const kept = values.artifacts.split(',').filter(Boolean)
const made = values.rows.split(',').filter(Boolean)
for (const [name, folder] of [
  ...made.map(name => [name, join(out, `${name}-${values.effort}${isGguf(name) ? '.gguf' : ''}`)]),
  ...kept.map(pair => pair.split('=')),
]) {
  if (!(await exists(folder))) await compressed(name, folder)
  const reportPath = isGguf(name)
    ? folder.replace(/gguf$/, 'reallm-report.json')
    : join(folder, 'reallm-report.json')
  const json = await readFile(reportPath, 'utf8').catch(() => undefined)
  const report = json === undefined ? undefined : (JSON.parse(json) as CompressReport)
  const { seconds, cpuSeconds, peakMemory } = report ?? {}
  const { perplexity, bytes, kl, top1 } = await evaluated(name, folder, model)
  rows.push({
    ...{
      program: isGguf(name) ? 'reallm, GGUF' : 'reallm',
      name: titleOf(name),
      bytes,
      kl,
      top1,
      perplexity,
    },
    ...{ ratio: perplexity / original.perplexity, bitsPerWeight: report?.size.bitsPerWeight },
    ...{ seconds, cpuSeconds, peakMemory },
  })
}
finish(rows)
if (process.env.LLAMA_CPP) finishOthers(await ggufTypes(process.env.LLAMA_CPP))

function isGguf(name: string): boolean {
  return name.startsWith('gguf-')
}

/** `56MB` → `56 MB`; `blocks-3` → `3.0 bits in the blocks`; the effort where it is not `normal`. */
function titleOf(name: string): string {
  const blocks = /^blocks-([\d.]+)$/.exec(name)
  const title = blocks
    ? `${Number(blocks[1]).toFixed(1)} bits in the blocks`
    : name.replace(/^gguf-/, '').replace(/(\d)MB$/, '$1 MB')
  return values.effort === 'normal' ? title : `${title}, \`${values.effort}\``
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
    ...[
      cli,
      'compress',
      model!,
      '-o',
      folder,
      ...calib!.flatMap(file => ['--calib', file]),
      '--effort',
      values.effort,
    ],
    ...(blocks ? ['--blocks-only', '-b', blocks[1]] : ['--target-size', name.replace(/^gguf-/, '')]),
    ...(isGguf(name) ? ['--target', 'gguf'] : []),
    ...(values.backend ? ['--backend', values.backend] : []),
    ...(values['max-memory'] ? ['--max-memory', values['max-memory']] : []),
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

async function ggufTypes(bin: string) {
  const tool = (name: string, args: string[]) => run(join(bin, name), args, { maxBuffer: 2 ** 28 })
  const scored = async (file: string): Promise<Measured> => {
    const args = ['-m', file, '-f', text!, '-c', '512', '--chunks', values.windows]
    const { stdout, stderr } = await tool('llama-perplexity', args)
    const found = /Final estimate: PPL = ([\d.]+)/.exec(stdout + stderr)
    if (!found) throw new Error(`llama-perplexity said no perplexity of ${file}`)
    return { bytes: (await stat(file)).size, perplexity: Number(found[1]) }
  }
  const matrix = join(out, 'imatrix.gguf')
  if (!(await exists(matrix))) await tool('llama-imatrix', ['-m', model!, '-f', calib![0], '-o', matrix])
  const base = await scored(model!)
  const rows = []
  for (const type of ['Q4_K_M', 'Q3_K_M', 'Q4_0', 'IQ4_XS', 'Q2_K', 'IQ3_XXS', 'IQ2_M', 'IQ2_XXS']) {
    const file = join(out, `${type}.gguf`)
    if (!(await exists(file)))
      await tool('llama-quantize', ['--allow-requantize', '--imatrix', matrix, model!, file, type])
    const measured = await scored(file)
    const ratio = measured.perplexity / base.perplexity
    rows.push({ program: 'llama.cpp', name: type, ...measured, ratio })
  }
  return rows
}
