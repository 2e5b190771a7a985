/** A logged value as text: rows of objects as a table, long arrays cut. */
export function formatted(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error) return value.message
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(row => Object(row) === row && !Array.isArray(row))
  )
    return table(value)
  return plain(value)
}

function plain(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(4)
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const items = Array.from(value as ArrayLike<unknown>)
    const more = items.length > 8 ? `, … ${items.length} in all` : ''
    return `[${items.slice(0, 8).map(plain).join(', ')}${more}]`
  }
  if (Object(value) === value) {
    const entries = Object.entries(value as object).map(([key, each]) => `${key}: ${plain(each)}`)
    return `{ ${entries.join(', ')} }`
  }
  return String(value)
}

function table(rows: readonly object[]): string {
  const names = Object.keys(rows[0])
  const cells = [names, ...rows.map(row => names.map(name => plain((row as Record<string, unknown>)[name])))]
  const widths = names.map((_, c) => Math.max(...cells.map(line => line[c].length)))
  return cells
    .map(line =>
      line
        .map((cell, c) => cell.padEnd(widths[c]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
