import type { Column, ResultsFile, Row, Run } from './schema.ts'
import { digestHere } from './sources.ts'

/** What part of a results file a page shows; everything in the file's order by default. */
export interface View {
  /** Name of the file in docs/results. */
  readonly from: string
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
  const shown = results.runs.flatMap(run =>
    run.rows.filter(view.where ?? (() => true)).map(row => ({ run, row })),
  )
  if (shown.length === 0) throw new Error(`no rows of: ${results.what}`)
  const { falling } = view
  if (falling) shown.sort((a, b) => Number(b.row[falling]) - Number(a.row[falling]))
  const sourceOf = view.brief ? timeOf : fullSourceOf
  const used = [...new Set(shown.map(({ run }) => sourceOf(run)))]
  const names = (view.columns ?? Object.keys(results.columns)).filter(name =>
    shown.some(({ row }) => row[name] !== undefined),
  )
  const columns = names.map(name => results.columns[name])
  const lines = shown.map(({ run, row }) => {
    const cells = names.map((name, i) => cellOf(row[name], columns[i]))
    if (used.length > 1) cells[0] += ` ${mark(used.indexOf(sourceOf(run)) + 1)}`
    return cells
  })
  const rules = columns.map(({ unit }) => (unit === undefined ? '---' : '--:'))
  const table = [columns.map(c => c.label), rules, ...lines].map(cells => `| ${cells.join(' | ')} |`)
  const sources = used.map((text, i) => (used.length > 1 ? `${mark(i + 1)} ${text}` : text))
  return [...table, '', sources.join('  \n')].join('\n')
}

function cellOf(value: Row[string] | undefined, { scale = 1, digits, precision }: Column): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  const number = value * scale
  if (digits !== undefined) return number.toFixed(digits)
  if (precision !== undefined) return number.toPrecision(precision).replace(/e\+?/, ' · 10^')
  return String(number)
}

const digests = new Map<string, string>()

/** `digestHere`, computed once for all tables. */
function currentDigest(sources: readonly string[]): string {
  const key = sources.join()
  const known = digests.get(key) ?? digestHere(sources)
  digests.set(key, known)
  return known
}

/** Where a run's numbers come from. */
function fullSourceOf(run: Run): string {
  const { command, machine, seed, note } = run
  const about = [machine, seed === null ? '' : `seed ${seed}`, command ? `\`${command}\`` : ''].filter(
    Boolean,
  )
  return `${timeOf(run)}: ${about.join('; ')}.${note ? ` ${note}` : ''}`
}

/** When and on which code they were measured; it says so when the code has changed since. */
function timeOf({ commit, sources, digest, date }: Run): string {
  if (sources.length === 0) return `Measured ${date}`
  if (digest === currentDigest(sources)) return `Measured ${date} on this code`
  const when = digest === null ? `Reported for commit \`${commit}\`` : `Measured at commit \`${commit}\``
  return `${when}, ${date}; the code has changed since`
}
