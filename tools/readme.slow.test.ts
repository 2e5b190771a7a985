import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** The ```ts blocks of READMEs and guides, run as a user would: an ES module in an empty folder, on the built packages. */
const readmes = [
  { name: 'README.md', snippetFolder: join(root, 'tmp') },
  ...readdirSync(join(root, 'packages')).map(name => ({
    name: join('packages', name, 'README.md'),
    // Packages of weights alone depend on nothing.
    snippetFolder: join(root, 'packages', name === 'smollm2' ? 'reallm' : name, 'tmp', 'snippets'),
  })),
  ...readdirSync(join(root, 'docs', 'guides'))
    .filter(name => name.endsWith('.md'))
    .map(name => ({
      name: join('docs', 'guides', name),
      snippetFolder: join(root, 'packages', 'reallm', 'tmp', 'snippets'),
    })),
].filter(readme => existsSync(join(root, readme.name)))

describe.each(readmes)('$name', ({ name, snippetFolder }) => {
  const text = readFileSync(join(root, name), 'utf8')
  const snippets = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match, i) => ({
    source: match[1]!,
    number: i + 1,
  }))

  test.each(snippets)('snippet $number runs', { timeout: 240_000 }, ({ source, number }) => {
    const cwd = mkdtempSync(join(tmpdir(), 'reallm-snippet-'))
    mkdirSync(snippetFolder, { recursive: true })
    const file = join(snippetFolder, `${basename(name, '.md')}-${number}.mjs`)
    writeFileSync(
      file,
      ts.transpile(source, {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        verbatimModuleSyntax: true,
      }),
    )
    const run = spawnSync(process.execPath, [file], { cwd, encoding: 'utf8', timeout: 220_000 })
    for (const made of [cwd, file]) rmSync(made, { recursive: true, force: true })
    expect(`${run.stderr}${run.error ?? ''}`.includes('Error') ? run.stderr : '', run.stdout).toBe('')
    expect(run.status, run.stderr).toBe(0)
    for (const numbers of promised(source)) expect(run.stdout).toContain(numbers)
  })

  test('begins with a snippet that runs, when it documents a package with code', () => {
    if (/tiny|guides/.test(name)) return
    expect(snippets.length).toBeGreaterThan(0)
  })
})

/** What comments behind `console.log` say is printed: lists of numbers, numbers that go on with `…`, a sentence, a quoted word. */
function promised(source: string): string[] {
  const comments = [...source.matchAll(/console\.log\(.*\) *\/\/ (.*)$/gm)].map(([, comment]) => comment)
  return comments.flatMap(
    comment =>
      comment.match(/-?\d[\d.]*(?:, -?\d[\d.]*)+|\d+\.\d+(?=…)|^[A-Z].*\.$|(?<=^')[^']+(?=')/g) ?? [],
  )
}
