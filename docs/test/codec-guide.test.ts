import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Follows the guides for contributors in a copy of the repository, whose checks then have to pass. */
const root = join(import.meta.dirname, '..', '..')
const guide = ['codec', 'family', 'backend']
  .map(what => readFileSync(join(root, 'docs', 'guides', `adding-a-${what}.md`), 'utf8'))
  .join('\n')
const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language} \\[(.+?)\\]\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, path, text]) => ({ path, text }),
  )
const [files, changes] = [blocks('ts'), blocks('diff')]
let copy: string

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'reallm-guide-'))
  const left = new Set(['.git', 'dist', 'tmp', 'node_modules', '.turbo', 'docs'])
  cpSync(root, copy, {
    recursive: true,
    verbatimSymlinks: true,
    // those of packages are links to each other, and have to lead to the copies
    filter: from =>
      from === root ||
      !left.has(basename(from)) ||
      /packages[\\/][^\\/]+[\\/]node_modules$/.test(relative(root, from)),
  })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction')
  for (const { path, text } of files) {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    writeFileSync(join(copy, path), text)
  }
  const tsconfig = {
    extends: './tsconfig.json',
    compilerOptions: { incremental: false, tsBuildInfoFile: null },
    include: files.map(({ path }) => path),
  }
  writeFileSync(join(copy, 'tsconfig.guide.json'), JSON.stringify(tsconfig))
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

/** A source with a change in the form of a diff: lines after ` ` stay, those after `-` go, those after `+` come; `@@` skips. */
function changed(source: string, change: string): string {
  const lines = source.split('\n')
  let at = 0
  let added: string[] = []
  const insert = (where: number) => {
    lines.splice(where, 0, ...added)
    at = where + added.length
    added = []
  }
  for (const line of change.trimEnd().split('\n')) {
    const [kind, text] = [line[0], line.slice(1)]
    if (kind === '+') added.push(text)
    else if (kind === '@') insert(at)
    else {
      const found = lines.indexOf(text, at)
      if (found < 0) throw new Error(`there is no line "${text}"`)
      insert(found)
      if (kind === '-') lines.splice(at, 1)
      else at++
    }
  }
  insert(at)
  return lines.join('\n')
}

/** Runs a tool of the repository in the copy. */
function run(tool: string, ...args: string[]): { passed: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'node_modules', tool), ...args],
    {
      cwd: copy,
      encoding: 'utf8',
    },
  )
  return { passed: status === 0, output: `${stdout}\n${stderr}` }
}

test('the lines to change are there', () => {
  expect(changes).toHaveLength(6)
  for (const { path, text } of changes) {
    const source = readFileSync(join(copy, path), 'utf8')
    writeFileSync(join(copy, path), changed(source, text))
  }
})

test('what it says compiles and is formatted', { timeout: 300_000 }, () => {
  const touched = [...files, ...changes].map(({ path }) => path)
  const lint = run('@biomejs/biome/bin/biome', 'check', '--vcs-enabled=false', ...touched)
  expect(lint.passed, lint.output).toBe(true)
  const types = run('typescript/bin/tsc', '-p', 'tsconfig.guide.json')
  expect(types.passed, types.output).toBe(true)
})

test('the family and the backend pass their suites', { timeout: 300_000 }, () => {
  const suites = [
    'packages/tensor-io/src/models/families/tides.test.ts',
    'packages/runtime/src/backend/plain',
  ]
  const { passed, output } = run('vitest/vitest.mjs', 'run', ...suites, '--reporter=verbose')
  expect(passed, output).toBe(true)
  for (const found of ['has a window in every second layer', 'plain conforms'])
    expect(output).toContain(found)
})

test('the suite of the codec passes, and the tests of all codecs and recipes find it', {
  timeout: 300_000,
}, () => {
  const suites = [
    'packages/vq/src/log',
    'packages/reallm/src/codecs.slow.test.ts',
    'packages/reallm/src/recipes.slow.test.ts',
  ]
  const filter = ['-t', 'log|layout of tensor-io', '--reporter=verbose']
  const { passed, output } = run('vitest/vitest.mjs', 'run', ...suites, ...filter)
  expect(passed, output).toBe(true)
  for (const found of ['log conforms', 'log {"bits":2} runs', "'log': compress"])
    expect(output).toContain(found)
})
