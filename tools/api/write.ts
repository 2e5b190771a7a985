// Writes the API reports of all published packages: npm run api
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishedApi } from './exports.ts'
import { apiReport } from './report.ts'

const folder = join(import.meta.dirname, 'reports')
mkdirSync(folder, { recursive: true })
for (const [name, entries] of publishedApi()) {
  if (entries.length > 0) writeFileSync(join(folder, `${name}.md`), apiReport(entries))
}
