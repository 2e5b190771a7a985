/** Points as text, y on a logarithmic axis. */
export function asciiPlot(points: readonly { x: number; y: number }[], width = 64, height = 14): string {
  const drawn = points.filter(p => p.y > 0)
  if (drawn.length === 0) return ''
  const [xs, ys] = [drawn.map(p => p.x), drawn.map(p => Math.log10(p.y))]
  const [left, right] = [Math.min(...xs), Math.max(...xs)]
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)]
  const cells = Array.from({ length: height }, () => new Array<string>(width).fill(' '))
  for (let i = 0; i < drawn.length; i++) {
    const column = Math.round(((xs[i] - left) / (right - left || 1)) * (width - 1))
    const row = Math.round(((top - ys[i]) / (top - bottom || 1)) * (height - 1))
    cells[row][column] = '•'
  }
  const labels = cells.map((_, row) =>
    row % 4 === 0 ? (10 ** (top - (row / (height - 1)) * (top - bottom))).toPrecision(2) : '',
  )
  const margin = Math.max(...labels.map(l => l.length))
  const lines = cells.map((row, i) => `${labels[i].padStart(margin)} │${row.join('').trimEnd()}`)
  const scale = `${left.toPrecision(3)}${right.toPrecision(3).padStart(width - left.toPrecision(3).length)}`
  return `${lines.join('\n')}\n${' '.repeat(margin)} └${'─'.repeat(width)}\n${' '.repeat(margin)}  ${scale}\n`
}
