import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { svgPlot } from '../../../packages/pipeline/src/output/svg-plot.ts'
import type { Row } from './row.ts'

/** Writes the rows as JSON, as a table in Markdown, and for each model as a plot; files are named without their folders. */
export async function writeReport(folder: string, measured: readonly Row[]): Promise<void> {
  const rows = measured.map(({ calibration, ...row }) => ({
    ...row,
    ...{ model: basename(row.model), text: basename(row.text) },
    ...(calibration && { calibration: basename(calibration) }),
  }))
  const parts: string[] = []
  for (const model of new Set(rows.map(row => row.model))) {
    const own = rows.filter(row => row.model === model)
    const name = model.replace(/\.gguf$/, '')
    await writeFile(join(folder, `${name}.svg`), plot(name, own))
    parts.push(
      `### ${name}\n\n${conditions(own)}\n\n![Size against KL divergence](./${name}.svg)\n\n${table(own)}`,
    )
  }
  await writeFile(join(folder, 'relatives.md'), parts.join('\n'))
  await writeFile(join(folder, 'relatives.json'), `${JSON.stringify(rows, null, 1)}\n`)
}

/** What was the same in all rows, or each value that there was. */
function conditions(rows: readonly Row[]): string {
  const all = (value: (row: Row) => string | number) => [...new Set(rows.map(value))].join(', ')
  const protocol = `${all(row => row.windows)} windows of ${all(row => row.text)}, the second half of each scored`
  const dates = all(row => row.date.slice(0, 10))
  return `${protocol}; effort ${all(row => row.effort)}, calibrated on ${all(row => row.calibration ?? 'the built-in text')}, seed ${all(row => row.seed)}, backend ${all(row => row.backend ?? 'default')}; ${dates}.`
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
  const shown = rows.filter(row => row.kl !== undefined && row.kl > 0)
  const series = [...new Set(shown.map(row => row.recipe))].map(name => ({
    name,
    line: true,
    points: shown
      .filter(row => row.recipe === name)
      .sort((a, b) => a.bytes! - b.bytes!)
      .map(row => ({
        x: row.bytes! / 1e6,
        y: row.kl!,
        title: `${name}: perplexity ${row.perplexity!.toPrecision(4)}`,
      })),
  }))
  return svgPlot(series, { title, x: 'weight files, MB', y: 'KL divergence, nats', log: true })
}
