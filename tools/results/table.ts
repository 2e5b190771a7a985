import type { Column, ResultsFile, Row, Run } from './schema.ts'

/** What part of a results file a page shows; everything in the file's order by default. */
export interface View {
  /** Name of the file in docs/results. */
  readonly from: string
  /** Runs of other files, in the columns of this one. */
  readonly and?: () => readonly Run[]
  readonly columns?: readonly string[]
  readonly where?: (row: Row) => boolean
  /** Column to sort by, falling. */
  readonly falling?: string
  /** Says only when the numbers were measured and where to read the rest. */
  readonly brief?: boolean
}

/** ¹, ², …, ¹⁰, … */
const mark = (n: number): string => String(n).replace(/\d/g, digit => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)])

/** A table in Markdown, and below it where each of its numbers comes from. */
export function tableOf(results: ResultsFile, view: Omit<View, 'from'>): string {
  const shown = [...results.runs, ...(view.and?.() ?? [])].flatMap(run =>
    run.rows.filter(view.where ?? (() => true)).map(row => ({ run, row })),
  )
  if (shown.length === 0) throw new Error(`no rows of: ${results.what}`)
  const { falling } = view
  if (falling) shown.sort((a, b) => Number(b.row[falling]) - Number(a.row[falling]))
  const sourceOf = view.brief ? timeOf : fullSourceOf
  const used = [...new Set(shown.map(({ run }) => sourceOf(run)))]
  const marked = (text: string) => (used.length > 1 ? mark(used.indexOf(text) + 1) : '')
  const names = view.columns ?? Object.keys(results.columns)
  const columns = Object.fromEntries(names.map(name => [name, results.columns[name]]))
  const table = rowsTable(
    columns,
    shown.map(({ row }) => row),
    shown.map(({ run }) => marked(sourceOf(run))),
  )
  return [table, '', used.map(text => `${marked(text)} ${text}`.trim()).join('  \n')].join('\n')
}

/** Rows as a table in Markdown: the columns that have cells, each row's mark behind its first cell. */
export function rowsTable(
  columns: ResultsFile['columns'],
  rows: readonly Row[],
  rowMarks: readonly string[] = [],
): string {
  const names = Object.keys(columns).filter(name => rows.some(row => row[name] !== undefined))
  const heading = names.map(name => columns[name].label)
  const rules = names.map(name => (columns[name].unit === undefined ? '---' : '--:'))
  const lines = rows.map((row, i) => {
    const [first, ...rest] = names.map(name => cellOf(row[name], columns[name]))
    return [`${first} ${rowMarks[i] ?? ''}`.trim(), ...rest]
  })
  return [heading, rules, ...lines].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function cellOf(value: Row[string] | undefined, { scale = 1, digits, precision }: Column): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  const number = value * scale
  if (digits !== undefined) return number.toFixed(digits)
  if (precision !== undefined) return significant(number, precision)
  return String(number)
}

/** Powers of ten only where a number would have more digits than one reads. */
function significant(number: number, precision: number): string {
  const size = Math.abs(number)
  if (size < 10 ** precision || size >= 1e7) return number.toPrecision(precision).replace(/e\+?/, ' · 10^')
  return Number(number.toPrecision(precision)).toLocaleString('en-US')
}

/** Where a run's numbers come from. */
function fullSourceOf(run: Run): string {
  const { command, machine, seed, note } = run
  const about = [machine, seed === null ? '' : `seed ${seed}`, command ? `\`${command}\`` : ''].filter(
    Boolean,
  )
  return `${timeOf(run)}: ${about.join('; ')}.${note ? ` ${note}` : ''}`
}

/** When and at which commit they were measured: the same text for ever, whatever later commits change. */
function timeOf({ commit, sources, digest, date }: Run): string {
  if (sources.length === 0) return `Measured ${date}`
  return `${digest === null ? 'Reported for' : 'Measured at'} commit \`${commit}\`, ${date}`
}
