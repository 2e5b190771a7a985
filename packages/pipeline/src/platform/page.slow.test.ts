import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fixture } from '@reallm/testing'
import { expect, test } from 'vitest'

test('a page compresses a model in its memory, again and again', { timeout: 240_000 }, () => {
  const script = fileURLToPath(new URL('../../test/in-page.ts', import.meta.url))
  const conditions = ['--conditions=@reallm/source', '--conditions=browser']
  const stdout = execFileSync(
    process.execPath,
    [...conditions, '--import', 'tsx', script, fixture('models/llama-gqa-tied')],
    { encoding: 'utf8' },
  )
  const runs = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(runs.map(({ bitsPerWeight }) => Math.ceil(bitsPerWeight))).toEqual([3, 4])
  for (const { names, work } of runs) {
    expect(names).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'reallm-report.json']))
    expect(work).toBe(0)
  }
})
