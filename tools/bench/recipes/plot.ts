import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { svgPlot } from '../../../packages/pipeline/src/output/svg-plot.ts'
import type { Row } from './row.ts'

/** Draws size against KL divergence: a file `recipes-<model>.svg` for each model. */
export async function writePlots(folder: string, rows: readonly Row[], nameOf: (row: Row) => string) {
  for (const model of new Set(rows.map(nameOf))) {
    const own = rows.filter(row => nameOf(row) === model)
    await writeFile(join(folder, `recipes-${model}.svg`), plot(model, own))
  }
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
