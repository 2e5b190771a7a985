import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planCompression } from '../plan.ts'

const tiny = join(import.meta.dirname, '..', '..', '..', 'tiny', 'model')

test('a calibration file that is missing or damaged is refused before weights are read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-calibration-'))
  await writeFile(join(folder, 'ids.json'), '{"ids": ')
  for (const [name, code] of [
    ['missing.txt', 'not-found'],
    ['ids.json', 'bad-file'],
  ]) {
    const events: string[] = []
    const calibration = join(folder, name)
    const plan = planCompression(tiny, {
      bits: 3,
      calibration,
      onProgress: ({ event }) => events.push(event),
    })
    await expect(plan).rejects.toMatchObject({ code, message: expect.stringContaining(name) })
    expect(events).toEqual([])
  }
  await rm(folder, { recursive: true })
})
