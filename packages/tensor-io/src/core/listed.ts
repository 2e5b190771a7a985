/**
 * The first of some names and how many more there are.
 *
 * @example
 * listed(['a', 'b', 'c', 'd', 'e']) // 'a, b, c and 2 more'
 */
export function listed(names: readonly string[], most = 3): string {
  const more = names.length > most ? ` and ${names.length - most} more` : ''
  return `${names.slice(0, most).join(', ')}${more}`
}
