export interface PlotPoint {
  readonly x: number
  readonly y: number
  /** Shows when the pointer rests on the dot. */
  readonly title?: string
  /** Stands beside the dot, away from the next one with a label. */
  readonly label?: string
}

/** Dots of one colour. */
export interface PlotSeries {
  readonly name: string
  readonly points: readonly PlotPoint[]
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

/** Of what is drawn, without the names to its right. */
const right = 410
/** Of a name beside the plot. */
const lineHeight = 16
const margin = { left: 58, top: 30, bottom: 44 }
/** From the plot to the names, and what a letter of them takes. */
const beside = { least: 150, from: 26, letter: 6.6 }

/** Okabe and Ito's colours, which stay apart for the colour-blind, on white and on black. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a8a8a']

/** Outlines of dots around 0, so that colours may come again. */
const shapes = ['M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0', 'M-3-3h6v6h-6z', 'M0-4l4 7h-8z', 'M0-4l4 4l-4 4l-4-4z']

/** An SVG scatter plot with axes, each series named beside its last dot, as a string to put into a page. */
export function svgPlot(series: readonly PlotSeries[], { title, x, y, log }: PlotOptions): string {
  const value = log ? Math.log10 : (v: number) => v
  const drawn = series
    .map((s, i) => ({ ...s, look: lookOf(i), points: s.points.filter(p => !log || p.y > 0) }))
    .filter(s => s.points.length > 0)
  const all = drawn.flatMap(s => s.points)
  if (all.length === 0) return ''
  const across = range(all.map(p => p.x))
  const up = range(all.map(p => value(p.y)))
  const height = Math.max(340, margin.top + margin.bottom + lineHeight * drawn.length)
  const bottom = height - margin.bottom
  const longest = drawn.reduce((most, { name }) => Math.max(most, name.length), 0)
  const width = right + Math.max(beside.least, Math.ceil(beside.from + beside.letter * longest))
  const px = (v: number) => round(margin.left + across.share(v) * (right - margin.left))
  const py = (v: number) => round(bottom - up.share(value(v)) * (bottom - margin.top))

  const distance = (a: PlotPoint, b: PlotPoint) =>
    a === b ? Infinity : Math.hypot(px(a.x) - px(b.x), py(a.y) - py(b.y))

  const parts = [
    `<text x="${margin.left}" y="16" font-weight="600">${escapeHtml(title)}</text>`,
    ...steps(across, false).map(
      v => `<text x="${px(v)}" y="${bottom + 18}" text-anchor="middle">${short(v)}</text>`,
    ),
    ...steps(up, log === true)
      .map(v => (log ? 10 ** v : v))
      .map(
        v =>
          `<path d="M${margin.left} ${py(v)}H${right}" stroke="currentColor" stroke-opacity=".18"/>` +
          `<text x="${margin.left - 6}" y="${py(v) + 4}" text-anchor="end">${short(v)}</text>`,
      ),
    `<text x="${(margin.left + right) / 2}" y="${height - 8}" text-anchor="middle">${escapeHtml(x)}</text>`,
    `<text transform="translate(13 ${height / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y)}</text>`,
  ]
  for (const { look, line, points } of drawn) {
    if (line && points.length > 1) {
      const path = points.map(p => `${px(p.x)},${py(p.y)}`).join(' ')
      parts.push(`<polyline points="${path}" fill="none" stroke="${look.colour}" stroke-opacity=".6"/>`)
    }
    for (const p of points) {
      const said = escapeHtml(p.title ?? `${short(p.x)}, ${short(p.y)}`)
      parts.push(
        `<path d="${look.shape}" transform="translate(${px(p.x)} ${py(p.y)})" fill="${look.colour}"><title>${said}</title></path>`,
      )
      if (p.label) {
        const others = all.filter(q => q.label && q !== p)
        const nearest = others.reduce((a, b) => (distance(b, p) < distance(a, p) ? b : a), p)
        const left = nearest.x > p.x || px(p.x) > right - 50
        const anchor = `x="${px(p.x) + (left ? -7 : 7)}" y="${py(p.y) + 4}" text-anchor="${left ? 'end' : 'start'}"`
        parts.push(`<text ${anchor} font-size="10">${escapeHtml(p.label)}</text>`)
      }
    }
  }
  const last = drawn.map(({ points }) => points.reduce((a, b) => (b.x >= a.x ? b : a)))
  const heights = apart(
    last.map(p => py(p.y)),
    margin.top,
    bottom,
  )
  for (const [i, { name, look }] of drawn.entries()) {
    const [from, at] = [last[i], heights[i]]
    parts.push(
      `<path d="M${px(from.x) + 4} ${py(from.y)}L${right + 8} ${at}" stroke="${look.colour}" stroke-opacity=".45"/>` +
        `<path d="${look.shape}" transform="translate(${right + 14} ${at})" fill="${look.colour}"/>` +
        `<text x="${right + 22}" y="${at + 4}">${escapeHtml(name)}</text>`,
    )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}" font-family="system-ui,sans-serif" font-size="12" fill="currentColor"><style>.plot{color:#222}@media(prefers-color-scheme:dark){.plot{color:#ddd}}</style>${parts.join('')}</svg>`
}

const lookOf = (i: number) => ({
  colour: colours[i % colours.length],
  shape: shapes[Math.floor(i / colours.length) % shapes.length],
})

const round = (v: number): number => Math.round(10 * v) / 10

/** Heights for labels that want to be at `wanted`: at least a line apart, between `top` and `bottom`. */
function apart(wanted: readonly number[], top: number, bottom: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b])
  const at: number[] = [...wanted]
  let least = top
  for (const i of order) {
    at[i] = Math.max(at[i], least)
    least = at[i] + lineHeight
  }
  let most = bottom
  for (const i of order.reverse()) {
    at[i] = round(Math.min(at[i], most))
    most = at[i] - lineHeight
  }
  return at
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
