import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fixture } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { openWeights, useBackend } from '@reallm/transformer'
import { beforeAll, expect, test } from 'vitest'
import { compress } from '../compress.ts'

const folder = workFolder()
beforeAll(() => useBackend('wasm'))

// A norm after the last projection of each sublayer, biases, and neither: each has a target of its own for o_proj and down_proj.
test.each(['gemma3-text', 'qwen2-bias', 'llama-gqa-tied'])(
  '%s: what the last projections of sublayers aim at is near what they gave',
  {
    timeout: 120_000,
  },
  async family => {
    const { config, close } = await openWeights(fixture(`models/${family}`))
    await close()
    const text = join(folder, `${family}.json`)
    const rows = Array.from({ length: 24 }, (_, r) =>
      Array.from({ length: 32 }, (_, i) => (7 * i + r * r * i + r) % config.vocabSize),
    )
    await writeFile(text, JSON.stringify(rows))
    const { matrices, quality } = await compress(fixture(`models/${family}`), {
      ...{ to: join(folder, family), bits: 5, effort: 'fast', scope: 'blocks', calibration: text },
      ...{ backend: 'wasm', threads: 0 },
    })
    for (const { name, error } of matrices) expect(error, name).toBeLessThan(0.02)
    // Over 0.5 with a wrong target: an output where the stream is meant, a bias twice.
    expect(quality!.compressed.kl).toBeLessThan(0.2)
  },
)
