import { existsSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { basename, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import {
  type Column,
  pathOf,
  type ResultsFile,
  type Row,
  type Run,
  readResults,
  resultsText,
  root,
} from './schema.ts'
import { digestAt, digestHere, headCommit } from './sources.ts'
import { rowsTable } from './table.ts'

/** What a bench says of itself. */
export interface Bench {
  /** Name of its file in docs/results. */
  readonly name: string
  /** What is measured, in one sentence. */
  readonly what: string
  /** Files and folders that decide the numbers. */
  readonly sources: readonly string[]
  readonly columns: Record<string, Column>
  /** Columns that tell rows apart. */
  readonly key: readonly string[]
  readonly seed: number | null
}

/** A row as a bench has it: what was not measured is undefined, empty or NaN. */
type Cells = Readonly<Record<string, string | number | undefined>>

/** The sources of packages. */
export const packages = (...names: string[]): string[] => names.map(name => `packages/${name}/src`)

/** What decides the result of `compress`, and how it is measured. */
export const compression = packages(
  ...['tensor-io', 'kernels', 'transformer', 'vq', 'lowrank', 'autoencoder', 'finetune', 'eval', 'pipeline'],
)

const flag = '--record'
/** Whether this process was asked to write docs/results; the flag is taken off the command line. */
export const recording = process.argv.includes(flag)
process.argv = process.argv.filter(arg => arg !== flag)

/**
 * Begins a bench; what it returns takes the rows and prints them as a table. With `--record` on the command line they are
 * also put into the bench's file of docs/results, in place of earlier rows of the same key. Only committed code can be
 * recorded. It may be called again with more rows.
 *
 * @throws Error before anything is measured when `--record` is given and the sources differ from the last commit
 */
export function startBench(bench: Bench): (measured: readonly Cells[]) => void {
  const { columns, name, sources } = bench
  const digest = recording ? committedDigest(sources) : undefined
  return measured => {
    const rows = measured.map(cells => filled(cells))
    console.log(rowsTable(columns, rows))
    if (digest === undefined) return
    if (committedDigest(sources) !== digest) throw new Error('the code was changed while it was measured')
    const before = existsSync(pathOf(name)) ? readResults(name).runs : []
    writeFileSync(pathOf(name), resultsText(withRun(bench, before, newRun(bench, digest, rows))))
    console.error(`recorded in ${relative(root, pathOf(name))}; npm run results writes the pages`)
  }
}

const filled = (cells: Cells): Row =>
  Object.fromEntries(
    Object.entries(cells).flatMap(([name, value]) =>
      value === undefined || value === '' || Number.isNaN(value) ? [] : [[name, value]],
    ),
  )

function committedDigest(sources: readonly string[]): string {
  const digest = digestAt('HEAD', sources)
  if (digestHere(sources) === digest) return digest
  throw new Error(
    `${sources.join(', ')} differ from the last commit: commit first, then measure with ${flag}`,
  )
}

function newRun({ sources, seed }: Bench, digest: string, rows: readonly Row[]): Run {
  const about = { command: commandLine(), commit: headCommit(), sources: [...sources], digest, seed }
  return { ...about, date: new Date().toISOString().slice(0, 10), machine: machine(), rows: [...rows] }
}

/**
 * A bench's file with a newer run, which replaces earlier rows of the same key, and is put to an earlier run that says the same of
 * itself: benches that take hours record row by row.
 */
export function withRun({ what, columns, key }: Bench, before: readonly Run[], run: Run): ResultsFile {
  const idOf = (row: Row) => JSON.stringify(key.map(column => row[column]))
  const measured = new Set(run.rows.map(idOf))
  const kept = before.map(earlier => ({
    ...earlier,
    rows: earlier.rows.filter(row => !measured.has(idOf(row))),
  }))
  const about = ({ rows: _, ...rest }: Run) => rest
  const same = kept.find(earlier => isDeepStrictEqual(about(earlier), about(run)))
  const newest = { ...run, rows: [...(same?.rows ?? []), ...run.rows] }
  const others = kept.filter(earlier => earlier !== same && earlier.rows.length > 0)
  return { what, columns, key: [...key], runs: [...others, newest] }
}

/** Rows of a bench that were recorded with the code that lies here. */
export function recordedHere({ name, sources }: Pick<Bench, 'name' | 'sources'>): readonly Row[] {
  if (!existsSync(pathOf(name))) return []
  const digest = digestHere(sources)
  return readResults(name).runs.flatMap(run => (run.digest === digest ? run.rows : []))
}

/** How this process was called, files by their names alone. */
function commandLine(): string {
  const [, script, ...args] = process.argv
  const named = args.map(arg => (arg.startsWith('/') ? basename(arg) : arg))
  const shown = named.map(arg => (/\s/.test(arg) ? `'${arg}'` : arg))
  return ['npx tsx --conditions=@reallm/source', relative(root, script), ...shown].join(' ')
}

function machine(): string {
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${cpus()[0].model.trim()}, ${cpus().length} cores, ${gigabytes} GiB, Node ${process.versions.node}`
}
