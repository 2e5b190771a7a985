import { counted } from '@reallm/tensor-io'
import { basename } from '#platform'
import type { CompressReport, MatrixReport } from './report.ts'
import { escapeHtml, type PlotSeries, svgPlot } from './svg-plot.ts'

/** The report as one HTML page: plots as inline SVG, no scripts, nothing loaded from anywhere. */
export function reportHtml(report: CompressReport): string {
  const { size, quality, generation, matrices } = report
  const plots = [
    svgPlot(
      byKind(matrices, m => m.bits),
      { title: 'Bits per weight', x: 'layer', y: 'bits per weight' },
    ),
    svgPlot([...byKind(matrices, m => m.error), ...withoutFeedback(matrices)], {
      title: 'Relative output error under H',
      x: 'layer',
      y: 'tr(ΔW H ΔWᵀ) / tr(W H Wᵀ)',
      log: true,
    }),
    svgPlot(againstLimit(matrices), {
      title: 'Error of the weights against the rate-distortion limit of a Gaussian',
      x: 'bits per weight',
      y: '‖ΔW‖² / ‖W‖²',
      log: true,
    }),
    svgPlot(frontierSeries(report), {
      title: 'Frontier: size against predicted loss',
      x: 'MB',
      y: report.predictedUnit,
      log: true,
    }),
  ]
  const summary: [string, string][] = [
    ['model', report.model],
    ['recipe', report.recipe],
    ['weight files', `${mb(size.bytes)} MB (original ${mb(size.originalBytes)} MB)`],
    [
      'bits per weight',
      `${size.bitsPerWeight.toFixed(3)} over ${size.parameters.toLocaleString('en')} weights`,
    ],
    ['calibration', report.calibration],
    ...(quality
      ? ([
          ...(quality.random
            ? []
            : ([
                [
                  'perplexity',
                  `${num(quality.compressed.perplexity)} (original ${num(quality.original.perplexity)})`,
                ],
              ] satisfies [string, string][])),
          ['KL divergence', `${num(quality.compressed.kl)} nats per token`],
          ['same most likely token', `${(100 * quality.compressed.top1).toFixed(1)} %`],
          ['measured on', quality.protocol],
        ] satisfies [string, string][])
      : []),
    ...(generation
      ? ([
          ['generation', generation.protocol],
          ['agrees with the original for', `${(100 * generation.agreement).toFixed(0)} % of a continuation`],
          [
            '4-grams repeated',
            `${(100 * generation.repetition.compressed).toFixed(0)} % (original ${(100 * generation.repetition.original).toFixed(0)} %)`,
          ],
        ] satisfies [string, string][])
      : []),
    [
      'time',
      `${report.seconds.toFixed(1)} s (${report.cpuSeconds.toFixed(0)} s of processor time), ${report.machine.backend}, ${counted(report.machine.threads, 'thread')}`,
    ],
    ['peak memory', `${mb(report.peakMemory)} MB`],
    ['seed', String(report.seed)],
  ]
  const rows = matrices.map(m => [
    m.name,
    m.shape.join('×'),
    m.codec,
    m.bits.toFixed(3),
    num(m.error),
    m.errorWithoutFeedback === undefined ? '' : num(m.errorWithoutFeedback),
    num(m.plainError),
    m.seconds.toFixed(2),
  ])
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(basename(report.model))}: compression report</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
td, th { padding: 2px 12px 2px 0; text-align: left; border-bottom: 1px solid #8884 }
.scroller { overflow-x: auto }
svg { width: 100%; min-width: 30rem; height: auto; margin: 1rem 0 }
mark { background: #0092; color: inherit }
</style>
<main>
<h1>Compression report</h1>
${tableHtml(summary)}
${plots.map(plot => `<div class="scroller">${plot}</div>`).join('\n')}
${samplesHtml(generation)}
<h2>Matrices</h2>
${tableHtml(rows, ['matrix', 'shape', 'codec', 'bits', 'error under H', 'without feedback', 'plain error', 'seconds'])}
</main>
</html>
`
}

/** What both models write, with what they share from the start marked. */
function samplesHtml(generation: CompressReport['generation']): string {
  if (!generation) return ''
  const rows = generation.samples.map(({ prompt, original, compressed }) => {
    const shared = sharedStart(original, compressed)
    const marked = (text: string) =>
      `<mark>${escapeHtml(text.slice(0, shared))}</mark>${escapeHtml(text.slice(shared))}`
    return [escapeHtml(prompt), marked(original), marked(compressed)]
  })
  return `<h2>What each model writes</h2>
<p>Marked: the words that both write, up to the first that differs.</p>
${tableOf(rows, ['after', 'the original writes', 'this model writes'])}`
}

/** Characters of the words that two texts have in common from the start. */
function sharedStart(a: string, b: string): number {
  let same = 0
  while (same < a.length && a[same] === b[same]) same++
  if (same === a.length && same === b.length) return same
  return Math.max(0, a.lastIndexOf(' ', same - 1))
}

function byKind(matrices: readonly MatrixReport[], of: (m: MatrixReport) => number): PlotSeries[] {
  const kinds = new Map<string, { x: number; y: number; title: string }[]>()
  for (const m of matrices) {
    const found = /\.layers\.(\d+)\.(?:.*\.)?(\w+)$/.exec(m.name)
    if (!found) continue
    const points = kinds.get(found[2]) ?? []
    points.push({ x: Number(found[1]), y: of(m), title: `${m.name}: ${num(of(m))} (${m.codec})` })
    kinds.set(found[2], points)
  }
  return [...kinds].map(([name, points]) => ({ name, points, line: true }))
}

/** The mean over a layer's matrices, to compare with. */
function withoutFeedback(matrices: readonly MatrixReport[]): PlotSeries[] {
  const layers = new Map<number, number[]>()
  for (const { name, errorWithoutFeedback } of matrices) {
    const layer = /\.layers\.(\d+)\./.exec(name)?.[1]
    if (layer === undefined || errorWithoutFeedback === undefined) continue
    layers.set(Number(layer), [...(layers.get(Number(layer)) ?? []), errorWithoutFeedback])
  }
  const points = [...layers].map(([x, errors]) => ({
    x,
    y: errors.reduce((sum, e) => sum + e, 0) / errors.length,
    title: `layer ${x}, mean without feedback`,
  }))
  return points.length > 0 ? [{ name: 'without feedback', points, line: true }] : []
}

function againstLimit(matrices: readonly MatrixReport[]): PlotSeries[] {
  const most = matrices.reduce((bits, m) => Math.max(bits, m.bits), 1)
  const curve = Array.from({ length: 25 }, (_, i) => (most * (i + 1)) / 25).filter(bits => bits >= 1)
  return [
    {
      name: 'stored matrices',
      points: matrices.map(m => ({ x: m.bits, y: m.plainError, title: `${m.name} (${m.codec})` })),
    },
    { name: 'limit 4⁻ᵇ', points: curve.map(bits => ({ x: bits, y: 4 ** -bits })), line: true },
  ]
}

function frontierSeries({ frontier, size, predicted }: CompressReport): PlotSeries[] {
  const points = frontier.map(p => ({
    x: p.bytes / 1e6,
    y: p.predicted,
    title: `${p.bitsPerWeight.toFixed(2)} bits`,
  }))
  return [
    { name: 'possible sizes', points, line: true },
    { name: 'this model', points: [{ x: size.bytes / 1e6, y: predicted }] },
  ]
}

const tableHtml = (rows: readonly (readonly string[])[], heading?: readonly string[]): string =>
  tableOf(
    rows.map(row => row.map(escapeHtml)),
    heading,
  )

/** A table of cells that are HTML; it scrolls inside itself where the page is narrow. */
function tableOf(rows: readonly (readonly string[])[], heading?: readonly string[]): string {
  const head = heading ? `<tr>${heading.map(h => `<th>${escapeHtml(h)}</th>`).join('')}</tr>` : ''
  const body = rows.map(row => `<tr>${row.map(cell => `<td>${cell}</td>`).join('')}</tr>`)
  return `<div class="scroller"><table>${head}${body.join('\n')}</table></div>`
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(2)
const num = (value: number): string => String(Number(value.toPrecision(4)))
