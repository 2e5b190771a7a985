/**
 * A text whose lines fit a terminal: words go on below, further to the right, those of a table's last column below that
 * column. An example's comment goes below its command; commands stay whole, to be copied. Without a width nothing changes.
 */
export const fitted = (text: string, columns: number | undefined): string =>
  columns === undefined
    ? text
    : text
        .split('\n')
        .flatMap(line => (line.length <= columns ? [line] : brokenUp(line, columns)))
        .join('\n')

function brokenUp(line: string, columns: number): string[] {
  const [, command, comment] = /^( *\$ .*?\S)(?: {2,}(\S.*))?$/.exec(line) ?? []
  if (command !== undefined) {
    return comment === undefined ? [command] : [command, ...wrapped(`      ${comment}`, 6, columns)]
  }
  const last = /^.*\S {2,}/.exec(line)?.[0].length
  if (last !== undefined && last <= 0.6 * columns) return wrapped(line, last, columns)
  return last === undefined ? wrapped(line, line.search(/\S/) + 2, columns) : [line]
}

/** Lines of at most so many columns, all but the first indented. A longer word is left whole. */
function wrapped(line: string, indent: number, columns: number): string[] {
  const lines: string[] = []
  let rest = line
  while (rest.length > columns) {
    const from = lines.length === 0 ? rest.search(/\S/) : indent
    const before = rest.lastIndexOf(' ', columns)
    const at = before > from ? before : rest.indexOf(' ', Math.max(from, columns))
    if (at < 0) break
    lines.push(rest.slice(0, at))
    rest = ' '.repeat(indent) + rest.slice(at + 1)
  }
  return [...lines, rest]
}
