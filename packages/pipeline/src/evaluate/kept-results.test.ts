import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProgressEvent } from '@reallm/tensor-io'
import { workFolder } from '@reallm/testing/work-folder'
import { expect, test } from 'vitest'
import { keptResults } from './kept-results.ts'

const folder = workFolder()
const cache = () => join(folder, 'cache', 'evaluations')
const files = () => readdir(cache())

test('results are there for the next run of the same, and for no other', async () => {
  const of = { kind: 'perplexity', model: 'a' }
  const first = await keptResults<number>(of, {})
  expect(first).toMatchObject({ found: 0 })
  await first.put(2, 0.1 + 0.2)
  await first.close()
  const second = await keptResults<number>(of, {})
  expect(second.found).toBe(1)
  expect(second.get(2)).toBe(0.1 + 0.2)
  expect(second.get(0)).toBeUndefined()
  await second.close()
  expect(await keptResults({ ...of, model: 'b' }, {})).toMatchObject({ found: 0 })
  const [name] = await files()
  expect(name).toBeDefined()
  expect(JSON.parse(await readFile(join(cache(), name), 'utf8')).identity).toMatchObject(of)
})

test('a damaged or unusable cache is a warning', async () => {
  const warnings: string[] = []
  const onProgress = (event: ProgressEvent) => {
    if (event.event === 'warning') warnings.push(event.message ?? '')
  }
  const [name] = await files()
  await writeFile(join(cache(), name), '{')
  expect(await keptResults({ kind: 'perplexity', model: 'a' }, { onProgress })).toMatchObject({ found: 0 })
  expect(warnings.pop()).toContain('is not used')
  await rm(cache(), { recursive: true })
  await mkdir(join(folder, 'cache'), { recursive: true })
  await writeFile(cache(), '')
  const unusable = await keptResults<number>({ kind: 'perplexity' }, { onProgress })
  await unusable.put(0, 1)
  await unusable.close()
  expect(warnings.at(-1)).toContain('measurements are not kept')
  expect(unusable.get(0)).toBe(1)
})
