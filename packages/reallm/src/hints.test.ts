import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createProgram } from './run.ts'

const packages = join(import.meta.dirname, '..', '..')

/** Each hint in the sources of all packages: what follows `hint:` until the object ends. */
function* hints(): Generator<string> {
  for (const name of readdirSync(packages)) {
    const source = join(packages, name, 'src')
    if (!existsSync(source)) continue
    for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(isCode)) {
      for (const [, hint] of readFileSync(join(source, file), 'utf8').matchAll(/\bhint:([^}]*)/g)) yield hint
    }
  }
}

const isCode = (file: string) => file.endsWith('.ts') && !file.endsWith('.test.ts')

test('hints name options that the command line has', () => {
  const program = createProgram({
    out: () => {},
    err: () => {},
    stdin: async () => '',
    async *lines() {},
    isTty: false,
    signal: new AbortController().signal,
    verbose: false,
  })
  const known = new Set(program.commands.flatMap(({ options }) => options.map(({ long }) => long)))
  const named = [...hints()].flatMap(hint => hint.match(/--[a-z][a-z-]*/g) ?? [])
  expect(named.length).toBeGreaterThan(15)
  expect(named.filter(option => !known.has(option))).toEqual([])
})
