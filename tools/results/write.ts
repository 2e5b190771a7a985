// Writes the tables of all pages from docs/results: npm run results
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generated, pages, textOf } from './pages.ts'
import { root } from './schema.ts'

for (const page of pages()) {
  const text = generated(page)
  if (text === textOf(page)) continue
  writeFileSync(join(root, page), text)
  console.log(`wrote ${page}`)
}
