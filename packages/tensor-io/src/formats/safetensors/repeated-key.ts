/**
 * The first key that an object at the top level of valid JSON has twice; `JSON.parse` would keep the last one
 * without a word.
 */
export function repeatedKey(json: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  for (let i = 0; i < json.length; i++) {
    const c = json[i]
    if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
    else if (c === '"') {
      const end = endOfString(json, i)
      if (depth === 1 && isKey(json, end)) {
        const key = JSON.parse(json.slice(i, end)) as string
        if (seen.has(key)) return key
        seen.add(key)
      }
      i = end - 1
    }
  }
  return undefined
}

function endOfString(json: string, start: number): number {
  let end = start + 1
  while (json[end] !== '"') end += json[end] === '\\' ? 2 : 1
  return end + 1
}

function isKey(json: string, after: number): boolean {
  let at = after
  while (' \t\n\r'.includes(json[at])) at++
  return json[at] === ':'
}
