import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeToyModels } from '@reallm/testing'
import { openWeights, useBackend } from '@reallm/transformer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PlanTable, planBudget } from '../allocate/allocate-bits.ts'
import { compress } from '../compress.ts'
import { planCompression } from '../plan.ts'
import { builtInRegistry } from '../recipes/registry.ts'

let folder: string
beforeAll(async () => {
  await useBackend('wasm')
  folder = await mkdtemp(join(tmpdir(), 'reallm-shared-'))
  process.env.REALLM_CACHE = join(folder, 'cache')
})
afterAll(() => rm(folder, { recursive: true }))

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
  const own = (bytes: number, damage: number) => ({ bytes, damage })
  const table = (sharedBytes: number): PlanTable => ({
    parts: {
      matrices: [0, 1].map(i => ({ name: `m${i}`, kind: 'q_proj', shape: [1, 1], block: i })),
      plain: new Map(),
      parameters: 2,
      counted: 2,
    },
    choices: [0, 1].map(() => ['plain', 'network'].map(label => ({ label, cost: () => ({}) }) as never)),
    candidates: [0, 1].map(() => [own(10, 3), { ...own(10, 1), sharing: 'network' }]),
    sharedBytes: new Map([['network', sharedBytes]]),
    groups: [[0], [1]],
    inputSensitivity: 0,
    fixedBytes: 5,
  })
  const both = planBudget(table(8), { bytes: 33 })
  expect(both).toMatchObject({ bytes: 33, damage: 2 })
  expect(both.matrices.map(m => [m.bytes, m.sharing?.users])).toEqual([
    [14, 2],
    [14, 2],
  ])
  // it does not fit: the network goes, and is not paid for
  const neither = planBudget(table(9), { bytes: 33 })
  expect(neither).toMatchObject({ bytes: 25, damage: 6 })
  expect(neither.matrices.map(m => m.sharing)).toEqual([undefined, undefined])
})
