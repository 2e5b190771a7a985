import { expect, test } from 'vitest'
import { runInPage } from './run-in-page.ts'
import { chromiumPath } from './site.ts'

test.skipIf(!chromiumPath)(
  'in a page that is isolated, helper threads give the bytes that one thread gives',
  async () => {
    expect(await runInPage({ module: 'threads-in-page' })).toMatchObject({
      isolated: true,
      threads: [3, 3],
      same: true,
    })
  },
  120_000,
)
