import type { ComparedModel, Comparison } from '../evaluate/compare-models.ts'
import { escapeHtml, svgPlot } from './svg-plot.ts'

/** A comparison as rows of a table, heading first; columns that no model fills are left out. */
export function comparisonRows({ models }: Comparison): string[][] {
  const tasks = models[0].tasks.map(({ task }) => task)
  const columns: readonly (readonly [heading: string, cell: (model: ComparedModel) => string | undefined])[] =
    [
      ['model', m => m.model],
      ['MB', m => (m.bytes / 1e6).toFixed(1)],
      ['bits', m => m.bitsPerWeight.toFixed(2)],
      ['perplexity', m => m.perplexity?.toFixed(3)],
      ['ratio', m => m.ratio?.toFixed(4)],
      ['KL', m => m.kl?.toFixed(5)],
      ['top-1, %', m => (m.top1 === undefined ? undefined : (100 * m.top1).toFixed(1))],
      ...tasks.map((task, t) => [`${task}, %`, (m: ComparedModel) => share(m, t)] as const),
    ]
  const used = columns.filter(([, cell]) => models.some(model => cell(model)))
  return [
    used.map(([heading]) => heading),
    ...models.map(model => used.map(([, cell]) => cell(model) ?? '–')),
  ]
}

/** How a comparison was measured, in one line. */
export const comparisonNote = ({ protocol, engine, cached }: Comparison): string =>
  [protocol, engine, cached ? 'some or all of it measured before (--no-cache measures anew)' : undefined]
    .filter(Boolean)
    .join('; ')

/** Accuracy of a benchmark, by length where choices have one, with its standard error. */
function share({ tasks }: ComparedModel, t: number): string {
  const { value, error } = tasks[t].accNorm ?? tasks[t].acc
  return `${(100 * value).toFixed(1)} ± ${(100 * error).toFixed(1)}`
}

/** A comparison as a Markdown table. */
export function comparisonMarkdown(comparison: Comparison): string {
  const [heading, ...rows] = comparisonRows(comparison)
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = line(heading.map((_, c) => (c === 0 ? '---' : '--:')))
  return [line(heading), rule, ...rows.map(line), ''].join('\n')
}

/** A comparison as one HTML page with plots, no scripts, nothing loaded from anywhere. */
export function comparisonHtml(comparison: Comparison): string {
  const [heading, ...rows] = comparisonRows(comparison)
  const measured = comparison.models.filter(({ kl }) => kl !== undefined)
  const plot = svgPlot(
    [
      {
        name: 'compressed',
        points: measured.map(({ model, bytes, kl }) => ({ x: bytes / 1e6, y: kl!, title: model })),
      },
    ],
    { title: 'Size against KL divergence from the first model', x: 'MB', y: 'nats per token', log: true },
  )
  const cells = (tag: 'td' | 'th', row: readonly string[]) =>
    `<tr>${row.map(cell => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Models compared</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; white-space: nowrap }
td, th { padding: 3px 16px 3px 0; text-align: left; border-bottom: 1px solid #8884 }
svg { width: 100%; height: auto; margin: 1rem 0 }
</style>
<main>
<h1>Models compared</h1>
<p>${escapeHtml(comparisonNote(comparison))}. KL divergence and top-1 agreement with the first model.</p>
<div><table><thead>${cells('th', heading)}</thead><tbody>
${rows.map(row => cells('td', row)).join('\n')}
</tbody></table></div>
${plot}
</main>
</html>
`
}
