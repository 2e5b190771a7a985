/** Dots of one colour; a dot's title shows when the pointer rests on it. */
export interface PlotSeries {
  readonly name: string
  readonly points: readonly { readonly x: number; readonly y: number; readonly title?: string }[]
  /** Joins the dots. */
  readonly line?: boolean
}

export interface PlotOptions {
  readonly title: string
  readonly x: string
  readonly y: string
  /** Logarithmic y axis. */
  readonly log?: boolean
}

const width = 720
/** Of a legend's line. */
const lineHeight = 18
const margin = { left: 64, right: 150, top: 28, bottom: 44 }
const colours = [
  '#3366cc',
  '#dc3912',
  '#109618',
  '#ff9900',
  '#990099',
  '#0099c6',
  '#dd4477',
  '#66aa00',
  '#555',
]

/** An SVG scatter plot with axes and legend, as a string to put into a page. */
export function svgPlot(series: readonly PlotSeries[], { title, x, y, log }: PlotOptions): string {
  const value = log ? Math.log10 : (v: number) => v
  const drawn = series.map(s => ({ ...s, points: s.points.filter(p => !log || p.y > 0) }))
  const all = drawn.flatMap(s => s.points)
  if (all.length === 0) return ''
  const across = range(all.map(p => p.x))
  const up = range(all.map(p => value(p.y)))
  const height = Math.max(320, margin.top + margin.bottom + lineHeight * series.length)
  const px = (v: number) => margin.left + across.share(v) * (width - margin.left - margin.right)
  const py = (v: number) =>
    height - margin.bottom - up.share(value(v)) * (height - margin.top - margin.bottom)
  const ticks = (r: Range, back: (v: number) => number) => steps(r, log === true && r === up).map(back)

  const parts = [
    `<text x="${margin.left}" y="16" font-weight="600">${escapeHtml(title)}</text>`,
    ...ticks(across, v => v).map(
      v =>
        `<text x="${px(v).toFixed(1)}" y="${height - margin.bottom + 18}" text-anchor="middle">${short(v)}</text>`,
    ),
    ...ticks(up, v => (log ? 10 ** v : v)).map(
      v =>
        `<line x1="${margin.left}" x2="${width - margin.right}" y1="${py(v).toFixed(1)}" y2="${py(v).toFixed(1)}" stroke="#ddd"/>` +
        `<text x="${margin.left - 6}" y="${(py(v) + 4).toFixed(1)}" text-anchor="end">${short(v)}</text>`,
    ),
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 8}" text-anchor="middle">${escapeHtml(x)}</text>`,
    `<text transform="translate(14 ${height / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y)}</text>`,
  ]
  for (const [i, s] of drawn.entries()) {
    const colour = colours[i] ?? `hsl(${(i * 137) % 360} 55% 42%)`
    if (s.line && s.points.length > 1) {
      const path = s.points.map(p => `${px(p.x).toFixed(1)},${py(p.y).toFixed(1)}`).join(' ')
      parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-opacity="0.5"/>`)
    }
    for (const p of s.points) {
      parts.push(
        `<circle cx="${px(p.x).toFixed(1)}" cy="${py(p.y).toFixed(1)}" r="3" fill="${colour}"><title>${escapeHtml(p.title ?? `${short(p.x)}, ${short(p.y)}`)}</title></circle>`,
      )
    }
    const row = margin.top + 8 + lineHeight * i
    parts.push(
      `<circle cx="${width - margin.right + 16}" cy="${row}" r="4" fill="${colour}"/>` +
        `<text x="${width - margin.right + 26}" y="${row + 4}">${escapeHtml(s.name)}</text>`,
    )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" style="background:#fff" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}" font-family="system-ui,sans-serif" font-size="12">${parts.join('')}</svg>`
}

interface Range {
  readonly low: number
  readonly high: number
  share(v: number): number
}

function range(values: readonly number[]): Range {
  const least = values.reduce((a, b) => Math.min(a, b), Infinity)
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const pad = (most - least || Math.abs(most) || 1) * 0.04
  const [low, high] = [least - pad, most + pad]
  return { low, high, share: v => (v - low) / (high - low) }
}

/** Round numbers inside a range, four to nine of them; whole powers of ten on a logarithmic axis when there are two. */
function steps({ low, high }: Range, log: boolean): number[] {
  if (log && Math.floor(high) - Math.ceil(low) >= 1) return span(Math.ceil(low), Math.floor(high), 1)
  const rough = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough)!
  return span(Math.ceil(low / step) * step, high, step)
}

function span(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) => from + i * step)
}

const short = (v: number): string =>
  v === 0
    ? '0'
    : Math.abs(v) < 0.001 || Math.abs(v) >= 1e5
      ? v.toExponential(0)
      : String(Number(v.toPrecision(3)))

/** Text made safe to stand in HTML. */
export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
