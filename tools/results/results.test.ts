import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { generated, pages, tablesOn, textOf, typedFigures } from './pages.ts'
import { plots } from './plots.ts'
import { withRun } from './record.ts'
import { pathOf, readResults, resultNames, resultsText, root } from './schema.ts'
import { digestAt, digestHere, hasCommit } from './sources.ts'
import { tableOf } from './table.ts'
import { views } from './views.ts'

const all = pages()
const files = resultNames()
const runs = files.flatMap(name => readResults(name).runs.map(run => ({ name, ...run })))

test.each(all)('%s shows what docs/results holds (npm run results writes it)', page => {
  expect(textOf(page)).toBe(generated(page))
})

test.each(Object.entries(plots))('%s draws what docs/results holds', (path, draw) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(draw())
})

test.each(all)('%s has no figures typed into tables', page => {
  expect(typedFigures(textOf(page))).toEqual([])
})

test.each(files)('%s is written as the benches write it, and a page shows it', name => {
  expect(readFileSync(pathOf(name), 'utf8')).toBe(resultsText(readResults(name)))
  const shown = all.flatMap(tablesOn).map(table => views[table]?.from ?? table)
  expect(shown).toContain(name)
})

const claims = runs.filter(({ digest, commit }) => digest !== null && hasCommit(commit))

test.skipIf(claims.length === 0).each(claims)('$name of $date measures the code of $commit', run => {
  expect(run.digest).toBe(digestAt(run.commit, run.sources))
})

test('a digest tells code from other code, and is the same for a commit and for its checkout', () => {
  const sources = ['tools/results/sources.ts', 'packages/tensor-io/src/core']
  expect(digestHere(sources)).toMatch(/^[0-9a-f]{64}$/)
  expect(digestHere(sources)).not.toBe(digestHere(sources.slice(1)))
  const unchanged = ['LICENSE']
  expect(digestHere(unchanged)).toBe(digestAt('HEAD', unchanged))
})

test('rows say which commit they were measured at, those of other programs only when', () => {
  const sources = ['LICENSE']
  const common = { command: 'x', commit: '1234567', date: '2026-01-31', machine: 'a machine', seed: 1 }
  const run = (name: string, more: { sources: string[]; digest: string | null }) => ({
    ...{ ...common, ...more },
    rows: [{ name, value: 1.25 }],
  })
  const table = tableOf(
    {
      what: 'an example',
      columns: { name: { label: 'name' }, value: { label: 'MB', unit: 'MB', digits: 1 } },
      key: ['name'],
      runs: [
        run('measured', { sources, digest: digestHere(sources) }),
        run('published', { sources, digest: null }),
        run('theirs', { sources: [], digest: digestHere([]) }),
      ],
    },
    {},
  )
  expect(table.split('\n')).toEqual([
    '| name | MB |',
    '| --- | --: |',
    '| measured ¹ | 1.3 |',
    '| published ² | 1.3 |',
    '| theirs ³ | 1.3 |',
    '',
    '¹ Measured at commit `1234567`, 2026-01-31: a machine; seed 1; `x`.  ',
    '² Reported for commit `1234567`, 2026-01-31: a machine; seed 1; `x`.  ',
    '³ Measured 2026-01-31: a machine; seed 1; `x`.',
  ])
})

test('a newer run replaces the rows that it measured again, and runs that have no rows left', () => {
  const columns = { name: { label: 'name' }, value: { label: 'MB', unit: 'MB' } }
  const bench = { name: 'x', what: 'an example', sources: [], columns, key: ['name'], seed: 1 }
  const run = (date: string, rows: { name: string; value: number }[]) => ({
    ...{ command: 'x', commit: '1234567', sources: [], digest: digestHere([]), machine: 'a machine' },
    ...{ seed: 1, date, rows },
  })
  const [a, b] = ['a', 'b'].map(name => ({ name, value: 1 }))
  const first = run('2026-01-01', [a])
  const second = run('2026-01-02', [b, { name: 'c', value: 3 }])
  const newest = run('2026-01-03', [a, { name: 'c', value: 4 }])
  const { runs } = withRun(bench, [first, second], newest)
  expect(runs).toEqual([{ ...second, rows: [b] }, newest])
})

test('rows that one run records after each other stay together', () => {
  const columns = { name: { label: 'name' } }
  const bench = { name: 'x', what: 'an example', sources: [], columns, key: ['name'], seed: 1 }
  const run = (name: string, seed = 1) => ({
    ...{ command: 'x', commit: '1234567', sources: [], digest: digestHere([]), machine: 'a machine' },
    ...{ seed, date: '2026-01-01', rows: [{ name }] },
  })
  const { runs } = withRun(bench, [run('other', 2), run('a')], run('b'))
  expect(runs).toEqual([run('other', 2), { ...run('a'), rows: [{ name: 'a' }, { name: 'b' }] }])
})

test('a figure in a table without markers is found; settings, names and generated tables are not', () => {
  const table = (heading: string, cell: string) => `| a | ${heading} |\n|---|---|\n| b | ${cell} |\n`
  for (const cell of ['24.63', '93.5 MB', '1.6 · 10^4', '**0.05**', '88 %'])
    expect(typedFigures(table('KL or MB', cell))).toHaveLength(1)
  const text = [
    table('default', '0.1'),
    table('perplexity', 'of a text'),
    `<!-- results:x -->\n\n${table('MB', '1')}\n<!-- /results -->\n`,
    `\`\`\`md\n${table('MB', '1')}\`\`\`\n`,
  ]
  expect(typedFigures(text.join('\n'))).toEqual([])
})
