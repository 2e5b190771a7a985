import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDestination } from './destination.ts'
import { readMarker, writeMarker } from './marker.ts'
import { describeFolder, moveIn } from './publish.ts'

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'publish-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a publication that stops on the way shows no model until the next run has finished it', async () => {
  const [place, work] = [join(folder, 'out'), join(folder, 'out.work')]
  const landing = { folder: place, work, marker: join(place, '.reallm.json') }
  const staged = join(work, 'artifact')
  for (const at of [place, staged]) await mkdir(at, { recursive: true })
  for (const name of ['config.json', 'old-shard']) await writeFile(join(place, name), 'old')
  await writeMarker(landing.marker, { files: await describeFolder(place) })
  for (const name of ['a', 'config.json', 'model.safetensors']) await writeFile(join(staged, name), 'new')

  // a directory in the way stops the second rename
  await mkdir(join(place, 'model.safetensors'))
  await expect(moveIn(landing, 'artifact', 'run')).rejects.toThrow(/EISDIR|ENOTEMPTY|directory/)
  expect((await readdir(place)).sort()).toEqual(['.reallm.json', 'a', 'model.safetensors', 'old-shard'])

  await rmdir(join(place, 'model.safetensors'))
  const resumed = await openDestination(place, { inputs: {}, resume: true })
  expect(resumed.isPublished('run')).toBe(true)
  expect((await readdir(place)).sort()).toEqual(['.reallm.json', 'a', 'config.json', 'model.safetensors'])
  expect(await readFile(join(place, 'config.json'), 'utf8')).toBe('new')
  expect(await readdir(work)).toEqual([])
  expect(Object.keys((await readMarker(landing.marker)).files)).toEqual([
    'a',
    'config.json',
    'model.safetensors',
  ])
})
