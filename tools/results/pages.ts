import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readResults, root } from './schema.ts'
import { tableOf } from './table.ts'
import { tables } from './tables.ts'
import { views } from './views.ts'

/** Pages that hold tables, by their paths. */
export function pages(): string[] {
  const packages = readdirSync(join(root, 'packages')).map(name => `packages/${name}/README.md`)
  return ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', ...packages, ...markdownIn('docs')]
    .filter(path => existsSync(join(root, path)))
    .sort()
}

/** Built pages, examples that users copy, other people's packages. */
const skipped = ['node_modules', '.vitepress', 'api', 'examples', 'public']

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return skipped.includes(entry.name) ? [] : markdownIn(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

export const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')

const block = /(<!-- results:([\w./-]+) -->\n)(.*?)(<!-- \/results -->)/gs
const tableBlock = /(<!-- table:([\w-]+) -->\n)(.*?)(<!-- \/table -->)/gs

/**
 * A page with the tables between `<!-- results:NAME -->` and `<!-- /results -->`, and those of `tables.ts` between
 * `<!-- table:NAME -->` and `<!-- /table -->`, written anew.
 */
export function generated(page: string): string {
  const text = textOf(page).replace(
    tableBlock,
    (_, open: string, name: string, _old: string, close: string) => `${open}\n${tables[name]()}\n\n${close}`,
  )
  return text.replace(block, (_, open: string, name: string, _old: string, close: string) => {
    const { from, ...view } = views[name] ?? { from: name }
    return `${open}\n${tableOf(readResults(from), view)}\n\n${close}`
  })
}

/** Names of the tables on a page. */
export const tablesOn = (page: string): string[] =>
  [...textOf(page).matchAll(block)].map(([, , name]) => name)

/** Headings of columns that hold measurements. */
const measured =
  /perplexity|\bKL\b|\b[kMG]B\b|bytes(?! per weight)|seconds|\bms\b|µs|\bCPU\b|FLOPS|\bdB\b|error|\bMSE\b|per s\b|\bratio\b|memory|PSNR|accuracy|top token/i
/** A cell that is a figure: a number, with a unit perhaps. */
const figure = /^[*~≈]*[-−+]?\d[\d.,\s]*(·\s*10\^?-?\d+)?\s*(%|[a-zA-Zµ/]+)?\*{0,2}$/

/** Headings of the tables in a page's text, markers aside, that show figures. */
export function typedFigures(text: string): string[] {
  const outside = text
    .replace(block, '')
    .replace(tableBlock, '')
    .replace(/^```.*?^```/gms, '')
  const tables = [...outside.matchAll(/^(\|.*\|)\n\|[\s:|-]+\|\n((?:\|.*\|(?:\n|$))*)/gm)]
  return tables.flatMap(([, heading, body]) => {
    const rows = body.trim().split('\n').map(cellsOf)
    const isTyped = (name: string, c: number) =>
      measured.test(name) && rows.some(row => figure.test(row[c] ?? ''))
    return cellsOf(heading).some(isTyped) ? [heading] : []
  })
}

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map(cell => cell.trim())
