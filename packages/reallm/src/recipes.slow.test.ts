import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recipes } from '@reallm/pipeline'
import { writeToyModels } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { beforeAll, expect, test } from 'vitest'
import { compress, load } from './index.ts'

const prose = 'It is a way I have of driving off the spleen, and regulating the circulation. '.repeat(40)
const folder = workFolder()
let original: string
beforeAll(async () => {
  // Pruning leaves the first two blocks alone.
  const config = {
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 3,
    max_position_embeddings: 64,
  }
  original = (await writeToyModels(folder, { config })).original
  await writeFile(join(folder, 'text.txt'), prose)
})

// What goes into GGUF has a test of its own, and so has the paper's recipe.
const ofOwnTest = ({ name, target }: (typeof recipes)[number]) =>
  target !== undefined || name === 'reallm-paper'

test.each(recipes.filter(recipe => !ofOwnTest(recipe)))(
  '$name: compress, evaluate, generate',
  { timeout: 120_000 },
  async ({ name: recipe }) => {
    const to = join(folder, recipe)
    // What pruning keeps is on 8 bits.
    const bits = recipe.startsWith('prune-') ? 7.5 : 6
    const { size, quality, matrices } = await compress(original, {
      ...({ to, recipe, effort: 'fast', scope: 'blocks', bits, threads: 0 } as const),
      ...{ calibration: join(folder, 'text.txt'), backend: 'wasm' as const },
    })
    const blocks = matrices.filter(({ name }) => name.includes('.layers.'))
    const weights = blocks.reduce((sum, { shape: [rows, cols] }) => sum + rows * cols, 0)
    const bytes = blocks.reduce((sum, m) => sum + m.bytes, 0)
    expect((8 * bytes) / weights).toBeLessThanOrEqual(bits)
    expect(size.bytes).toBeLessThan(size.originalBytes)
    // Random weights have no structure: the worst recipes are still nearer than a uniform guess.
    expect(quality!.compressed.kl).toBeLessThan(3)

    const model = await load(to)
    const written = await model.generate('It is a', { maxTokens: 8, temperature: 0 }).text()
    model.dispose()
    expect(written.length).toBeGreaterThan(0)
  },
)
