import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runInPage } from './run-in-page.ts'
import { chromiumPath } from './site.ts'
import type { run } from './worker-in-page.ts'

const packages = join(import.meta.dirname, '..', '..', 'packages')

test.skipIf(!chromiumPath)(
  'a model in a Worker writes what one in the page writes, and the page does other work meanwhile',
  async () => {
    const found = await runInPage<Awaited<ReturnType<typeof run>>>({
      module: 'worker-in-page',
      scripts: { worker: join(packages, 'runtime', 'src', 'worker', 'worker.js') },
      prepare: folder => cpSync(join(packages, 'tiny', 'model'), join(folder, 'model'), { recursive: true }),
    })
    expect(found).toMatchObject({
      threads: 2,
      texts: [found.wanted, found.wanted, found.wanted],
      messages: ['system', 'user', 'assistant'],
      stopped: 'aborted',
      refused: [
        { name: 'ReallmError', code: 'not-found' },
        { name: 'ReallmError', code: 'unsupported', hint: 'string' },
      ],
    })
    // a task that other programs interrupt takes longer than it works
    expect(Math.min(...found.longest)).toBeLessThan(50)
  },
  120_000,
)
