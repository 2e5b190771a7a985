import { expect, test } from 'vitest'
import { targets } from '../../test/fuzz/targets.ts'

/** Kept, so that what was found once is looked at again. */
const seeds = [1, 24]

test.each(Object.entries(targets))('damaged files give nothing but our errors: %s', async (_, check) => {
  for (const seed of seeds) expect((await check(200, seed)).report).toBeUndefined()
})
