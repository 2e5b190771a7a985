import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeToyModels } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { openWeights, useBackend } from '@reallm/transformer'
import { grid } from '@reallm/vq'
import { beforeAll, expect, test } from 'vitest'
import { allocateBits } from '../allocate/allocate-bits.ts'
import type { ConfigurationTable } from '../allocate/configuration-table.ts'
import { compress } from '../compress.ts'
import { planCompression } from '../plan.ts'
import { type Configuration, configuration } from '../recipes/configuration.ts'
import { builtInRegistry } from '../recipes/registry.ts'

const folder = workFolder()
beforeAll(() => useBackend('wasm'))

test('neural-trellis: a network for each kind of matrix, stored once, and counted as it is stored', {
  timeout: 120_000,
}, async () => {
  const { original } = await writeToyModels(folder, {
    config: { hidden_size: 64, intermediate_size: 64, max_position_embeddings: 64 },
  })
  const to = join(folder, 'out')
  const text = join(folder, 'text.json')
  await writeFile(
    text,
    JSON.stringify(
      Array.from({ length: 8 }, (_, r) => Array.from({ length: 64 }, (_, i) => (7 * i + r * r) % 95)),
    ),
  )
  const options = {
    recipe: 'neural-trellis',
    effort: 'fast',
    scope: 'blocks',
    bits: 7,
    calibration: text,
    backend: 'wasm',
    threads: 0,
  } as const
  const plan = await planCompression(original, options)
  const { matrices, size } = await compress(original, { ...options, to, evaluate: false })
  const config = JSON.parse(await readFile(join(to, 'config.json'), 'utf8'))
  const { modules } = config.quantization_config
  for (const { name, bits, bytes } of matrices) {
    expect(bits).toBeCloseTo(modules[name].bits, 9)
    expect(plan.matrices.find(m => m.name === name)!.bytes).toBeGreaterThan(bytes)
  }
  // header entries are planned at their longest
  expect(size.bytes).toBeLessThanOrEqual(plan.bytes)
  expect(size.bytes).toBeGreaterThan(0.97 * plan.bytes)

  // two matrices of a kind and label hold the same network, which the second takes from the first
  const labels = new Map<string, string[]>()
  for (const { name, codec } of matrices) {
    const key = `${name.slice(name.lastIndexOf('.'))} ${codec}`
    labels.set(key, [...(labels.get(key) ?? []), name])
  }
  const pairs = [...labels.values()].filter(names => names.length === 2)
  expect(pairs.length).toBeGreaterThan(0)
  for (const [first, second] of pairs) {
    const [[part, tensor]] = Object.entries(modules[second].shared) as [string, string][]
    expect(tensor).toBe(`${first}.${part}`)
  }
  const opened = await openWeights(to, { registry: builtInRegistry() })
  await opened.close()
})

test('what is shared is paid for once, and only where it is used', () => {
  const named = (id: string): Configuration => configuration({ id, codec: grid, params: { bits: 4 } })
  const own = { configuration: named('plain'), bytes: 10 }
  const sharing = { key: 'network', includes: () => false }
  const network = { configuration: named('network'), bytes: 10, sharing }
  const table = (sharedBytes: number): ConfigurationTable => ({
    parts: {
      matrices: [0, 1].map(i => ({ name: `m${i}`, kind: 'q_proj', shape: [1, 1], layer: i })),
      plain: new Map(),
      parameters: 2,
      counted: 2,
    },
    configurations: [0, 1].map(() => [own, network]),
    sharedBytes: new Map([['network', sharedBytes]]),
    groups: [[0], [1]],
    fixedBytes: 5,
  })
  const sensitivity = { m0: { plain: 3, network: 1 }, m1: { plain: 3, network: 1 } }
  const both = allocateBits(table(8), sensitivity, { bytes: 33 })
  expect(both).toMatchObject({ bytes: 33, predicted: 2 })
  expect(both.matrices.map(m => [m.bytes, m.sharing?.users])).toEqual([
    [14, 2],
    [14, 2],
  ])
  // it does not fit: the network goes, and is not paid for
  const neither = allocateBits(table(9), sensitivity, { bytes: 33 })
  expect(neither).toMatchObject({ bytes: 25, predicted: 6 })
  expect(neither.matrices.map(m => m.sharing)).toEqual([undefined, undefined])
})
