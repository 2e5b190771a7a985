import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { random } from '@reallm/tensor-io'
import { writeToyModels } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { expect, test } from 'vitest'
import { compress, load } from './index.ts'

const folder = workFolder()

/** Smooth in both directions and of full rank: `W[i, j] = f(i − j)`. */
function toeplitz(rows: number, cols: number): Float32Array<ArrayBuffer> {
  const rng = random(5)
  const waves = Array.from({ length: 12 }, (_, k) => [0.02 * (k + 1), rng.normal(), rng.normal()])
  return Float32Array.from({ length: rows * cols }, (_, i) => {
    const d = Math.floor(i / cols) - (i % cols)
    return waves.reduce((sum, [f, a, b]) => sum + 0.1 * (a * Math.cos(f * d) + b * Math.sin(f * d)), 0)
  })
}

test('reallm-paper: compress, evaluate, generate; a network where there is structure, vectors where there is none', {
  timeout: 240_000,
}, async () => {
  const { original } = await writeToyModels(folder, {
    config: { hidden_size: 128, intermediate_size: 512, num_hidden_layers: 1, max_position_embeddings: 64 },
    weights: (name, rows, cols) => (name.includes('down_proj') ? toeplitz(rows, cols) : undefined),
  })
  const to = join(folder, 'paper')
  const text = join(folder, 'text.txt')
  await writeFile(
    text,
    'It is a way I have of driving off the spleen, and regulating the circulation. '.repeat(40),
  )
  const { matrices, quality } = await compress(original, {
    ...{ to, recipe: 'reallm-paper', effort: 'fast', scope: 'blocks', bits: 2.5, calibration: text },
    ...{ backend: 'wasm', threads: 0 },
  })
  for (const { name, codec, error } of matrices) {
    expect(codec, name).toMatch(name.includes('down_proj') ? /autoencoder/ : /vectors/)
    expect(error).toBeLessThan(name.includes('down_proj') ? 0.001 : 0.5)
  }
  expect(quality!.compressed.kl).toBeLessThan(1)

  const model = await load(to)
  let written = ''
  for await (const piece of model.generate('It is a', { maxTokens: 8, temperature: 0 })) written += piece
  model.dispose()
  expect(written.length).toBeGreaterThan(0)
})
