import { escapeHtml } from '../../packages/pipeline/src/output/svg-plot.ts'

/** What is ranked: a name, a positive value, and what else is said when the pointer rests on it. */
export interface Ranked {
  readonly name: string
  readonly value: number
  readonly title?: string | undefined
}

/** Between the names and the right edge. */
const plot = 324
const row = 18
const margin = { right: 56, top: 30, bottom: 42 }

/**
 * A dot for each name on a logarithmic axis, the least first, as an SVG: for more of them than colours can tell apart. Names
 * stand to the left of their lines, values beside their dots.
 *
 * @param names width of the names
 */
export function rankSvg(
  ranked: readonly Ranked[],
  { title, x, names = 116 }: { title: string; x: string; names?: number },
): string {
  const order = [...ranked].sort((a, b) => a.value - b.value)
  const [low, high] = [order[0].value, order.at(-1)!.value].map(Math.log10)
  const width = names + plot
  const right = width - margin.right
  const bottom = margin.top + row * order.length
  const px = (value: number) => {
    const share = high > low ? (Math.log10(value) - low) / (high - low) : 0.5
    return (names + 8 + share * (right - names - 8)).toFixed(1)
  }
  const powers = Array.from(
    { length: Math.floor(high) - Math.ceil(low) + 1 },
    (_, i) => 10 ** (Math.ceil(low) + i),
  )
  const ticks = powers.map(
    value =>
      `<path d="M${px(value)} ${margin.top - 6}V${bottom}" stroke="currentColor" stroke-opacity=".18"/>` +
      `<text x="${px(value)}" y="${bottom + 16}" text-anchor="middle">${value}</text>`,
  )
  const rows = order.map(({ name, value, title: said }, i) => {
    const y = margin.top + row * (i + 0.5)
    return (
      `<text x="${names - 8}" y="${y + 4}" text-anchor="end">${escapeHtml(name)}</text>` +
      `<path d="M${names} ${y}H${px(value)}" stroke="#0072b2" stroke-opacity=".35"/>` +
      `<circle cx="${px(value)}" cy="${y}" r="4" fill="#0072b2"><title>${escapeHtml(said ?? name)}</title></circle>` +
      `<text x="${(Number(px(value)) + 8).toFixed(1)}" y="${y + 4}">${Number(value.toPrecision(2))}</text>`
    )
  })
  const axis = `<text x="${(names + right) / 2}" y="${bottom + 36}" text-anchor="middle">${escapeHtml(x)}</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${width} ${bottom + margin.bottom}" role="img" aria-label="${escapeHtml(title)}" font-family="system-ui,sans-serif" font-size="12" fill="currentColor"><style>.plot{color:#222}@media(prefers-color-scheme:dark){.plot{color:#ddd}}</style><text x="0" y="16" font-weight="600">${escapeHtml(title)}</text>${[...ticks, ...rows, axis].join('')}</svg>`
}
