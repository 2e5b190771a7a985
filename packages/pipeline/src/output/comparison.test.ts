import { expect, test } from 'vitest'
import type { Comparison } from '../evaluate/compare-models.ts'
import { comparisonHtml, comparisonMarkdown, comparisonNote, comparisonRows } from './comparison.ts'

const measured = { value: 0.5, error: 0.125, interval: [0.25, 0.75] as const }
const task = {
  task: 'piqa',
  documents: 4,
  acc: { ...measured, value: 0.25 },
  accNorm: measured,
  seconds: 1,
  keptRequests: 0,
}

const comparison: Comparison = {
  protocol: 'half: 2 windows, 8 tokens scored',
  engine: 'wasm (plain), weights expanded',
  cached: false,
  models: [
    { model: 'a|<b>', bytes: 2e6, bitsPerWeight: 16, perplexity: 20, tasks: [task] },
    {
      model: 'c',
      bytes: 5e5,
      bitsPerWeight: 4,
      perplexity: 21,
      ratio: 1.05,
      kl: 0.02,
      top1: 0.9,
      tasks: [task],
    },
  ],
}

test('rows have a cell for all that was measured, and accuracy by length where there is one', () => {
  expect(comparisonRows(comparison)).toEqual([
    ['model', 'MB', 'bits', 'perplexity', 'ratio', 'KL', 'top-1, %', 'piqa, %'],
    ['a|<b>', '2.0', '16.00', '20.000', '–', '–', '–', '50.0 ± 12.5'],
    ['c', '0.5', '4.00', '21.000', '1.0500', '0.02000', '90.0', '50.0 ± 12.5'],
  ])
})

test('columns of what was not measured are left out', () => {
  const models = comparison.models.map(({ model, bytes, bitsPerWeight, tasks }) => ({
    model,
    bytes,
    bitsPerWeight,
    tasks,
  }))
  expect(comparisonRows({ ...comparison, models })[0]).toEqual(['model', 'MB', 'bits', 'piqa, %'])
})

test('Markdown and HTML escape names', () => {
  expect(comparisonMarkdown(comparison)).toContain('| a\\|<b> | 2.0 |')
  const html = comparisonHtml(comparison)
  expect(html).toContain('<td>a|&lt;b&gt;</td>')
  expect(html).toContain('<svg')
})

test('the note says what computed, and that figures are of an earlier run', () => {
  expect(comparisonNote(comparison)).toBe('half: 2 windows, 8 tokens scored; wasm (plain), weights expanded')
  expect(comparisonNote({ ...comparison, protocol: undefined, cached: true })).toMatch(
    /measured before \(--no-cache/,
  )
})
