import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { artifactVersion, openModel } from '@reallm/tensor-io'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Golden, readGolden, writeGoldenArtifact } from '../test/golden-artifact.ts'

const golden = (version: number) =>
  join(import.meta.dirname, '..', 'test', 'fixtures', `artifact-v${version}`)
const versions = Array.from({ length: artifactVersion }, (_, i) => i + 1)
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-golden-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Largest distance of values from those wanted, relative to the largest wanted one. */
function distance(got: readonly number[], wanted: readonly number[]): number {
  expect(got).toHaveLength(wanted.length)
  const largest = Math.max(1e-9, ...wanted.map(Math.abs))
  return Math.max(...got.map((v, i) => Math.abs(v - wanted[i]))) / largest
}

test.each(versions)(
  'an artifact of version %i decodes and runs as it did when it was written',
  async version => {
    const wanted: Golden = JSON.parse(await readFile(join(golden(version), 'golden.json'), 'utf8'))
    const { rows, logits } = await readGolden(golden(version))
    expect(Object.keys(rows)).toEqual(Object.keys(wanted.rows))
    for (const [module, row] of Object.entries(rows))
      expect(distance(row, wanted.rows[module]), module).toBeLessThan(1e-5)
    expect(distance(logits, wanted.logits)).toBeLessThan(1e-4)
  },
)

/** Fails where a matrix has another codec, a part or a parameter that the golden one has not: older releases would refuse it. */
test('what is written today is laid out as its version says: a change of layout needs a new one', async () => {
  await writeGoldenArtifact(folder)
  const [written, wanted] = await Promise.all([openModel(folder), openModel(golden(artifactVersion))])
  expect(wanted.config).toMatchObject(written.config)
  expect([...written.tensors]).toEqual([...wanted.tensors])
  await Promise.all([written.close(), wanted.close()])
})
