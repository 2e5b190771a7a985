import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as z from 'zod'

export const root = join(import.meta.dirname, '..', '..')
const resultsFolder = join(root, 'docs', 'results')

const column = z.strictObject({
  /** Heading in pages, with the unit that is shown. */
  label: z.string(),
  /** Unit of the stored numbers; absent for text. */
  unit: z.string().optional(),
  /** Shown number = stored number × scale. */
  scale: z.number().optional(),
  /** Decimals that are shown, or significant digits. */
  digits: z.int().optional(),
  precision: z.int().optional(),
})

const run = z.strictObject({
  /** The command that measures it again; null where none was kept. */
  command: z.string().nullable(),
  /** The commit whose code was measured. */
  commit: z.string().regex(/^[0-9a-f]{7,40}$/),
  /** Files and folders of this repository that decide the numbers; empty for other people's programs. */
  sources: z.array(z.string()),
  /** `digestAt(commit, sources)`. Null: reported for `commit` without a digest; the code may have been an earlier one's. */
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  /** Of the measurement, or where it was not kept, of its publication. */
  date: z.iso.date(),
  machine: z.string(),
  seed: z.int().nullable(),
  /** What a reader must know to compare these rows with others. */
  note: z.string().optional(),
  /** A cell by column; an empty cell is left out. */
  rows: z.array(z.record(z.string(), z.union([z.string(), z.number()]))).min(1),
})

const resultsFile = z
  .strictObject({
    /** What is measured, in one sentence. */
    what: z.string(),
    /** In the order of the table. */
    columns: z.record(z.string(), column),
    /** Columns that together tell rows apart. */
    key: z.array(z.string()).min(1),
    runs: z.array(run),
  })
  .check(({ value: { columns, key, runs }, issues }) => {
    const complain = (message: string, input: unknown) => issues.push({ code: 'custom', message, input })
    const seen = new Set<string>()
    for (const row of runs.flatMap(r => r.rows)) {
      for (const name of Object.keys(row)) if (!(name in columns)) complain(`no column ${name}`, row)
      const id = JSON.stringify(key.map(name => row[name]))
      if (seen.has(id)) complain(`two rows ${id}`, row)
      seen.add(id)
    }
  })

export type Column = z.infer<typeof column>
export type Run = z.infer<typeof run>
export type Row = Run['rows'][number]
export type ResultsFile = z.infer<typeof resultsFile>

export const resultNames = (): string[] =>
  readdirSync(resultsFolder)
    .filter(name => name.endsWith('.json'))
    .map(name => basename(name, '.json'))

export const pathOf = (name: string): string => join(resultsFolder, `${name}.json`)

/** A file of docs/results, checked. */
export const readResults = (name: string): ResultsFile =>
  resultsFile.parse(JSON.parse(readFileSync(pathOf(name), 'utf8')))

/** The text of a results file: a line per row, so that changes can be read. */
export function resultsText(results: ResultsFile): string {
  const { runs, ...head } = resultsFile.parse(results)
  const json = (value: unknown, indent: string) =>
    JSON.stringify(value, null, 2).replaceAll('\n', `\n${indent}`)
  const texts = runs.map(({ rows, ...about }) => {
    const lines = rows.map(row => `        ${JSON.stringify(row)}`).join(',\n')
    return `    ${json(about, '    ').replace(/\n {4}\}$/, `,\n      "rows": [\n${lines}\n      ]\n    }`)}`
  })
  return json(head, '').replace(/\n\}$/, `,\n  "runs": [\n${texts.join(',\n')}\n  ]\n}\n`)
}
