import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { run } from './kept-in-page.ts'
import { runInPage } from './run-in-page.ts'
import { chromiumPath } from './site.ts'

const tiny = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')

test.skipIf(!chromiumPath)(
  'a page fetches a model once, and again what the browser has kept damaged',
  async () => {
    const found = await runInPage<Awaited<ReturnType<typeof run>>>({
      module: 'kept-in-page',
      prepare: folder => cpSync(tiny, join(folder, 'model'), { recursive: true }),
    })
    expect(new Set(found.texts).size).toBe(1)
    expect(found.texts).toHaveLength(5)
    const { first, second, damaged, repaired, alone } = found
    expect(first).toBeGreaterThan(5_000_000)
    expect(damaged).toBeGreaterThan(5_000_000)
    for (const bytes of [second, repaired, alone]) expect(bytes).toBeLessThan(1000)
  },
  120_000,
)
