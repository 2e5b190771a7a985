import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { svgPlot } from '../../../packages/pipeline/src/svg-plot.ts'
import type { Row } from './row.ts'

/** Writes the rows as JSON, as a table in Markdown, and for each model as a plot. */
export async function writeReport(folder: string, rows: readonly Row[]): Promise<void> {
  const models = [...new Set(rows.map(row => row.model))]
  const parts: string[] = []
  for (const model of models) {
    const own = rows.filter(row => row.model === model)
    const name = basename(model).replace(/\.gguf$/, '')
    await writeFile(join(folder, `${name}.svg`), plot(name, own))
    parts.push(`### ${name}\n\n![perplexity against size](./${name}.svg)\n\n${table(own)}`)
  }
  await writeFile(join(folder, 'relatives.md'), `${parts.join('\n')}`)
  await writeFile(join(folder, 'relatives.json'), `${JSON.stringify(rows, null, 1)}\n`)
}

const head = [
  'recipe',
  'asked for',
  'MB',
  'bits per weight',
  'perplexity',
  'KL, nats',
  'same top token',
  'encoding, CPU s',
  'peak, MB',
]

function table(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const asked =
      row.recipe === 'original'
        ? ''
        : row.scope === 'blocks'
          ? `${Math.round(12.5 * row.bits)} % of the blocks`
          : `${row.bits} bits`
    if (row.perplexity === undefined) return [row.recipe, asked, ...Array(7).fill('–')]
    return [
      row.recipe,
      asked,
      (row.bytes! / 1e6).toFixed(2),
      row.bitsPerWeight!.toFixed(2),
      row.perplexity.toPrecision(4),
      row.kl!.toPrecision(3),
      `${(100 * row.top1!).toFixed(0)} %`,
      row.cpuSeconds?.toFixed(0) ?? '',
      row.peakMemory ? (row.peakMemory / 1e6).toFixed(0) : '',
    ]
  })
  return [head, head.map((_, i) => (i < 2 ? '---' : '--:')), ...lines]
    .map(cells => `| ${cells.join(' | ')} |\n`)
    .join('')
}

function plot(title: string, rows: readonly Row[]): string {
  const recipes = [...new Set(rows.map(row => row.recipe))]
  const series = recipes.map(name => ({
    name,
    line: true,
    points: rows
      .filter(row => row.recipe === name && row.perplexity !== undefined)
      .sort((a, b) => a.bytes! - b.bytes!)
      .map(row => ({
        x: row.bytes! / 1e6,
        y: row.perplexity!,
        title: `${name}: ${row.perplexity!.toPrecision(4)}`,
      })),
  }))
  return svgPlot(series, { title, x: 'weight files, MB', y: 'perplexity', log: true })
}
