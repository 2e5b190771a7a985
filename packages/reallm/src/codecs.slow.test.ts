import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { autoencoder, implicit } from '@reallm/autoencoder'
import { onebit, rowScaled } from '@reallm/finetune'
import {
  lowrank,
  lplrCodec,
  lr2vq,
  monarchCodec,
  plusLowRank,
  plusMonarch,
  prunedCodec,
  romCodec,
  ternaryCodec,
} from '@reallm/lowrank'
import { builtInRegistry } from '@reallm/pipeline'
import { load } from '@reallm/runtime'
import {
  type ArtifactModule,
  bytesSource,
  createArtifactWriter,
  type EncodedMatrix,
  encodeSafetensors,
  type MatrixCodec,
  openFiles,
  openModel,
  type Tensor,
  tensor,
} from '@reallm/tensor-io'
import * as layouts from '@reallm/tensor-io/layouts'
import { fixture } from '@reallm/testing'
import { forward, loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import {
  additive,
  e8,
  gguf,
  grid,
  kmeans,
  normalfloat,
  permuted,
  rotated,
  scaled,
  trellis,
  trellisBands,
} from '@reallm/vq'
import { afterAll, beforeAll, expect, test } from 'vitest'

const model = fixture('models/llama-gqa-tied')
const ids = [7, 31, 200, 5, 77, 150, 12, 3]
const registry = builtInRegistry()
let folder: string

beforeAll(async () => {
  await useBackend('wasm')
  folder = await mkdtemp(join(tmpdir(), 'reallm-codecs-'))
})
afterAll(() => rm(folder, { recursive: true }))

type Case = readonly [codec: MatrixCodec, params: object]

const chosen: readonly Case[] = [
  [grid, { bits: 3, group: 8 }],
  [normalfloat, { bits: 4, group: 8 }],
  [gguf, { type: 'Q5_1' }],
  [kmeans, { bits: 2, dim: 2 }],
  [kmeans, { bits: 2, dim: 2, permute: true }],
  [e8, { bits: 2 }],
  [e8, { bits: 3, scale: 'row' }],
  [e8, { bits: 4 }],
  [trellis, { bits: 2.25, stateBits: 8 }],
  [trellisBands, { bits: [3.5], rows: 1024, stateBits: 8 }],
  [additive, { codebooks: 2, codebookBits: 4 }],
  [lowrank, { rank: 9, bits: 8 }],
  [lplrCodec, { rank: 9, leftBits: 4, rightBits: 3 }],
  [lr2vq, { codeBits: 5, vector: 4, dim: 3 }],
  [monarchCodec, { rank: 2, bits: 8 }],
  [prunedCodec, { rows: 20, cols: 50, bits: 8 }],
  [romCodec, { rank: 12 }],
  [romCodec, {}],
  [ternaryCodec, { rank: 20 }],
  [autoencoder, { patch: 16, stages: 1, latentWidth: 2, steps: 3 }],
  [implicit, { dim: 4, codeBits: [3, 3], hidden: 4, rounds: 1, steps: 3 }],
  [onebit, {}],
  [rotated(e8), { inner: { bits: 2 } }],
  [rotated(trellis), { inner: { bits: 3, stateBits: 8 } }],
  [scaled(rotated(trellis)), { inner: { inner: { bits: 3, stateBits: 8 } } }],
  [scaled(grid, { rows: false }), { inner: { bits: 3, group: 8 } }],
  [permuted(grid), { inner: { bits: 3, group: 8 } }],
  [plusLowRank({ rank: 3, bits: 8, rounds: 1 }, rotated(grid)), { inner: { inner: { bits: 2, group: 8 } } }],
  [plusLowRank({ rank: 3, bits: 16, rounds: 1 }, additive), { inner: { codebooks: 1, codebookBits: 4 } }],
  [plusMonarch({ rounds: 1 }, grid), { inner: { bits: 2, group: 8 } }],
  [rowScaled.wrap(onebit), { inner: {} }],
]

/** Codecs that nobody chose parameters for, with the first that their layouts allow. */
const others = [...registry.layouts.values()]
  .filter(({ codec }) => chosen.every(([{ name }]) => name !== codec))
  .map(({ codec, params, wraps }): Case => {
    const required = Object.entries(params).filter(
      ([, { default: value, optional }]) => value === undefined && !optional,
    )
    const first = required.map(([name, { of, whole, number }]) => [
      name,
      of?.[0] ?? whole?.[0] ?? number?.least ?? number?.most,
    ])
    const shape = [1, 1] as const
    if (!wraps) return [registry.codecOf({ codec, shape }), Object.fromEntries(first)]
    const inner = { codec: grid.name, params: {}, shape, parts: {} }
    return [
      registry.codecOf({ codec, shape, inner }),
      { ...Object.fromEntries(first), inner: { bits: 3, group: 8 } },
    ]
  })
const cases = [...chosen, ...others]

/** The artifact of a model whose first MLP and last attention hold such matrices. */
async function write(dir: string, codec: MatrixCodec, params: object): Promise<void> {
  const source = await openWeights(model)
  const writer = await createArtifactWriter(dir, { config: source.files.config, filesOf: source.files })
  for (const [name, [rows, cols]] of source.shapes) {
    const { data } = await source.read(name)
    // Blocks of GGUF fit the width of the MLP's last projection alone.
    const wanted = codec === gguf ? /layers\.\d+\.mlp\.down_proj/ : /layers\.(0\.mlp|1\.self_attn)\.\w+_proj/
    if (!wanted.test(name)) {
      await writer.addTensor(name, await source.read(name))
      continue
    }
    const full = codec.parse(params)
    const stored = await codec.encode({ rows, cols, data }, full, { seed: 1 })
    await writer.addMatrix(name.replace(/\.weight$/, ''), stored as EncodedMatrix)
  }
  await writer.finish()
  await source.close()
}

/** Logits of `@reallm/transformer`. */
async function logits(dir: string): Promise<Float32Array> {
  const opened = await openWeights(dir, { registry })
  const weights = await loadWeights(opened)
  const tokens = tf.tensor2d([ids], [1, ids.length], 'int32')
  const out = forward(opened.config, weights, tokens)
  const data = (await out.data()) as Float32Array
  tf.dispose([weights, tokens, out])
  await opened.close()
  return data
}

const named = cases.map(([codec, params], i) => [`${codec.name} ${JSON.stringify(params)}`, i] as const)

test.each(named)('%s runs without TensorFlow.js as it is decoded', async (_, i) => {
  const dir = join(folder, String(i))
  await write(dir, ...cases[i])
  const want = await logits(dir)
  for (const [weights, tolerance] of [
    ['f32', 1e-3],
    ['packed', 1e-2],
    ['expanded', 1e-2],
  ] as const) {
    const running = await load(dir, { registry, weights, kvCache: 'f32', tokenizer: false })
    const got = await running.session().logits(ids)
    running.dispose()
    const error = Math.hypot(...got.map((v, j) => v - want[j]))
    expect(error / Math.hypot(...want), weights).toBeLessThan(tolerance)
  }
})

test('every codec of the registry stores what a layout of tensor-io describes', () => {
  const described = new Set<unknown>(Object.values(layouts))
  expect(registry.layouts.size).toBeGreaterThan(20)
  for (const [name, layout] of registry.layouts) expect(described.has(layout), name).toBe(true)
})

test('load refuses what the registry refuses, with the same words', async () => {
  const dir = join(folder, 'altered')
  await write(dir, rotated(trellis), { inner: { bits: 3, stateBits: 8 } })
  const whole = await openModel(dir)
  const tensors: Record<string, Tensor> = {}
  for (const name of whole.tensors.keys()) tensors[name] = await whole.read(name)
  const module = 'model.layers.0.mlp.down_proj'
  const codes = `${module}.inner.codes`
  const scales = `${module}.inner.scales`
  const withoutParams = structuredClone(whole.config) as {
    quantization_config: { modules: Record<string, ArtifactModule> }
  }
  Object.assign(withoutParams.quantization_config.modules[module].inner!, { params: undefined })
  for (const [config, altered, says] of [
    [
      whole.config,
      { [codes]: tensor('U32', [1], (tensors[codes].data as Uint32Array<ArrayBuffer>).slice(0, 1)) },
      'codes is U32 [1]',
    ],
    [whole.config, { [scales]: tensor('F32', [0], new Float32Array(0)) }, 'scales is F32 [0]'],
    [withoutParams, {}, 'parameters are undefined'],
  ] as const) {
    const files = () =>
      openFiles(
        [
          {
            name: 'config.json',
            source: bytesSource('config.json', new TextEncoder().encode(JSON.stringify(config))),
          },
          {
            name: 'model.safetensors',
            source: bytesSource('model.safetensors', encodeSafetensors({ ...tensors, ...altered })),
          },
        ],
        { registry },
      )
    const refusal = await (await files())
      .readFloat32(`${module}.weight`)
      .catch((error: Error) => error.message)
    expect(refusal).toContain(says)
    for (const weights of ['packed', 'expanded'] as const)
      await expect(load(await files(), { registry, weights, tokenizer: false })).rejects.toThrow(
        refusal as string,
      )
  }
})
