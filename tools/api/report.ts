import type { Entry } from './exports.ts'

/** The API of a package as one text, whose changes a reviewer sees: what each entry point exports, comments left out. */
export function apiReport(entries: readonly Entry[]): string {
  const seen = new Map<string, string>()
  const lines = [
    '<!-- Written by `npm run api`; a test fails when it is not current. A change here is a change for users. -->',
  ]
  for (const { specifier, exports } of entries) {
    lines.push('', `# ${specifier}`, '')
    const own: string[] = []
    for (const { name, declaration, file } of exports) {
      const key = `${file} ${declaration}`
      const before = seen.get(key)
      if (before === undefined) own.push(declaration)
      else lines.push(`- \`${name}\`: see ${before}`)
      seen.set(key, before ?? specifier)
    }
    if (own.length > 0) lines.push('', '```ts', own.join('\n\n'), '```')
  }
  return `${lines.join('\n').replaceAll(/\n{3,}/g, '\n\n')}\n`
}
