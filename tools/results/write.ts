// Writes the tables of all pages, and the plots, from docs/results: npm run results
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generated, pages, textOf } from './pages.ts'
import { plots } from './plots.ts'
import { root } from './schema.ts'

for (const page of pages()) {
  const text = generated(page)
  if (text === textOf(page)) continue
  writeFileSync(join(root, page), text)
  console.log(`wrote ${page}`)
}

for (const [path, draw] of Object.entries(plots)) {
  const file = join(root, path)
  const svg = draw()
  if (existsSync(file) && readFileSync(file, 'utf8') === svg) continue
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, svg)
  console.log(`wrote ${path}`)
}
