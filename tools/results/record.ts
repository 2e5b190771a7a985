import { existsSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { basename, relative } from 'node:path'
import { type Column, pathOf, type ResultsFile, type Row, readResults, resultsText, root } from './schema.ts'
import { digestAt, digestHere, headCommit } from './sources.ts'

/** What a bench says of itself. */
export interface Bench {
  /** Name of its file in docs/results. */
  readonly name: string
  /** What is measured, in one sentence. */
  readonly what: string
  /** Files and folders that decide the numbers. */
  readonly sources: readonly string[]
  readonly columns: Readonly<Record<string, Column>>
  /** Columns that tell rows apart. */
  readonly key: readonly string[]
  readonly seed: number | null
}

/** The packages that decide what `compress` writes and how it is measured. */
export const compression = [
  ...['tensor-io', 'kernels', 'transformer', 'vq', 'lowrank', 'autoencoder', 'finetune', 'eval', 'pipeline'],
].map(name => `packages/${name}/src`)

const flag = '--record'
/** Whether this process was asked to write docs/results; the flag is taken off the command line. */
const wanted = process.argv.includes(flag)
process.argv = process.argv.filter(arg => arg !== flag)

/**
 * Call it before measuring, and what it returns with the rows. With `--record` they are put into the bench's file, in the
 * place of earlier rows of the same key; without it nothing is written. Code that is not committed cannot be recorded.
 */
export function startRun(bench: Bench): (rows: readonly Row[]) => void {
  if (!wanted) return () => {}
  const { name, what, columns, key, seed } = bench
  const sources = [...bench.sources]
  const commit = headCommit()
  const digest = digestAt(commit, sources)
  const requireCommitted = () => {
    if (digestHere(sources) === digest) return
    throw new Error(`${sources.join(', ')} differ from commit ${commit}: commit first, then measure`)
  }
  requireCommitted()
  return rows => {
    requireCommitted()
    const date = new Date().toISOString().slice(0, 10)
    const about = { command: commandLine(), commit, sources, digest, date, machine: machine(), seed }
    const file: ResultsFile = { what, columns: { ...columns }, key: [...key], runs: [] }
    const idOf = (row: Row) => JSON.stringify(key.map(column => row[column]))
    const measured = new Set(rows.map(idOf))
    const before = existsSync(pathOf(name)) ? readResults(name).runs : []
    const kept = before
      .map(run => ({ ...run, rows: run.rows.filter(row => !measured.has(idOf(row))) }))
      .filter(run => run.rows.length > 0)
    const runs = [...kept, { ...about, rows: rows.map(row => ({ ...row })) }]
    writeFileSync(pathOf(name), resultsText({ ...file, runs }))
    console.error(`recorded in ${relative(root, pathOf(name))}; npm run results writes the pages`)
  }
}

/** How this process was called, files by their names alone. */
function commandLine(): string {
  const [, script, ...args] = process.argv
  const shown = args.map(arg => (arg.startsWith('/') ? basename(arg) : arg))
  return ['npx tsx --conditions=@reallm/source', relative(root, script), ...shown].join(' ')
}

function machine(): string {
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${cpus()[0].model.trim()}, ${cpus().length} cores, ${gigabytes} GiB, Node ${process.versions.node}`
}
