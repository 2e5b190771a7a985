import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { executable } from '../.vitepress/theme/live/executable.ts'
import { formatted } from '../.vitepress/theme/live/format.ts'
import { packageNames, weightsOnly } from '../packages/packages.ts'

/** The examples of the packages' pages, run here instead of in a Worker. */
const folder = join(import.meta.dirname, '..', 'live')
const names = readdirSync(folder).map(file => file.replace('.js', ''))

test('every package with code that runs in pages has one', () => {
  expect(names.sort()).toEqual(
    packageNames.filter(name => name !== 'serve' && !weightsOnly.includes(name)).sort(),
  )
})

const load = (name: string) => {
  if (name === 'reallm') return import('../.vitepress/theme/live/reallm.ts')
  if (name === '@reallm/pipeline') return import('../.vitepress/theme/live/pipeline.ts')
  return import(/* @vite-ignore */ name)
}

test.each(names)('%s prints figures', { timeout: 120_000 }, async name => {
  const source = readFileSync(join(folder, `${name}.js`), 'utf8')
    .replaceAll("'/models/tiny/'", "'npm:@reallm/tiny'")
    .replaceAll(", { wasmPath: '/tfjs/' }", '')
  const lines: string[] = []
  const log = (...values: unknown[]) => lines.push(values.map(formatted).join(' '))
  await executable(source)(load, { log, table: log })
  expect(lines.join('\n')).toMatch(/\d/)
  expect(lines.join('\n')).not.toMatch(/undefined|NaN/)
  if (process.env.SHOW) console.log(lines.join('\n'))
})

test('imports of every form are understood', async () => {
  const source = `import { a as b, c } from 'x'\nimport * as d from "y"\nimport 'z'\nconsole.log(b, c, d)`
  const seen: unknown[][] = []
  const loaded: string[] = []
  const given = async (name: string) => {
    loaded.push(name)
    return { a: 1, c: 2 }
  }
  await executable(source)(given, { log: (...values: unknown[]) => seen.push(values) })
  expect(seen).toEqual([[1, 2, { a: 1, c: 2 }]])
  expect(loaded).toEqual(['x', 'y', 'z'])
})
