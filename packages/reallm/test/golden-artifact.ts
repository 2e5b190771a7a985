// Writes a small artifact with every codec. One of each version that was released lies in fixtures/artifact-v<version>, so that
// later code is known to read it: when `artifactVersion` rises, run this once more and keep the older folders.
//
//   npx tsx --conditions=@reallm/source packages/reallm/test/golden-artifact.ts packages/reallm/test/fixtures/artifact-v1
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
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
  compactTensor,
  createArtifactWriter,
  type MatrixCodec,
  openModel,
  random,
  seedFor,
  sizeOf,
} from '@reallm/tensor-io'
import { allTensors, parseConfig } from '@reallm/tensor-io/models'
import { useBackend } from '@reallm/transformer'
import { additive, e8, grid, kmeans, normalfloat, permuted, rotated, scaled, trellis } from '@reallm/vq'

/** Tokens that logits are recorded for. */
const ids = [7, 31, 20, 5, 50]

const config = {
  model_type: 'llama',
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  rope_theta: 10_000,
  tie_word_embeddings: true,
}

/** Codecs in the order of the model's matrices: the embedding, then the projections of one layer after the other. */
const stored: readonly (readonly [codec: MatrixCodec, params: object])[] = [
  [rotated(grid, { output: false }), { inner: { bits: 4, group: 8 } }],
  [rotated(trellis), { inner: { bits: 2.25, stateBits: 8 } }],
  [trellis, { bits: 3, stateBits: 8, scale: 'row' }],
  [trellis, { bits: 1.5, stateBits: 9 }],
  [trellis, { bits: 2.25, stateBits: 8, values: 'network', hidden: 2 }],
  [scaled(rotated(trellis)), { inner: { inner: { bits: 3, stateBits: 8 } } }],
  [trellis, { bits: 6, stateBits: 10 }],
  [grid, { bits: 3, group: 8, symmetric: false, scales: 'double' }],
  [grid, { bits: 2, group: 'row', scales: 'f32' }],
  [normalfloat, { bits: 4, group: 8 }],
  [kmeans, { bits: 2, dim: 2 }],
  [kmeans, { bits: 2, dim: 2, permute: true }],
  [kmeans, { bits: 1, dim: 4, group: 'none' }],
  [e8, { bits: 2 }],
  [e8, { bits: 3, scale: 'row' }],
  [e8, { bits: 4 }],
  [additive, { codebooks: 2, codebookBits: 4 }],
  [lowrank, { rank: 9, bits: 8 }],
  [lplrCodec, { rank: 9, leftBits: 4, rightBits: 3 }],
  [lr2vq, { codeBits: 5, vector: 4, dim: 3 }],
  [monarchCodec, { rank: 2, bits: 8 }],
  [prunedCodec, { rows: 20, cols: 24, bits: 8 }],
  [romCodec, { rank: 12 }],
  [ternaryCodec, { rank: 16 }],
  [autoencoder, { patch: 16, stages: 1, latentWidth: 2, steps: 3 }],
  [implicit, { dim: 4, codeBits: [3, 3], hidden: 4, rounds: 1, steps: 3 }],
  [permuted(grid), { inner: { bits: 3, group: 8 } }],
  [plusLowRank({ rank: 3, bits: 8, rounds: 1 }, rotated(grid)), { inner: { inner: { bits: 2, group: 8 } } }],
  [plusMonarch({ rounds: 1 }, rowScaled.wrap(onebit)), { inner: { inner: {} } }],
]

/** Writes the artifact, and beside it what it decodes to and computes: `golden.json`. */
export async function writeGoldenArtifact(folder: string): Promise<void> {
  await useBackend('wasm')
  const writer = await createArtifactWriter(folder, { config })
  const codecs = stored.values()
  for (const [name, shape] of allTensors(await parseConfig(config))) {
    const { normal } = random(seedFor(3, name))
    if (shape.length === 1) {
      await writer.addTensor(name, compactTensor(shape, new Float32Array(shape[0]).fill(1)))
      continue
    }
    const [codec, params] = codecs.next().value!
    const w = { rows: shape[0], cols: shape[1], data: Float32Array.from({ length: sizeOf(shape) }, normal) }
    await writer.addMatrix(
      name.replace(/\.weight$/, ''),
      await codec.encode(w, codec.parse(params), { seed: 1 }),
    )
  }
  await writer.finish()
  writeFileSync(join(folder, 'golden.json'), `${JSON.stringify(await readGolden(folder), null, 1)}\n`)
}

/** The first row of every matrix as it is decoded, and the last position's logits as the runtime computes them. */
export async function readGolden(folder: string): Promise<Golden> {
  const registry = builtInRegistry()
  const files = await openModel(folder, { registry })
  const rows: Record<string, number[]> = {}
  for (const module of files.artifact!.modules.keys()) {
    const { data } = await files.readFloat32(`${module}.weight`, [0, 1])
    rows[module] = Array.from(data, rounded)
  }
  const model = await load(files, { registry, weights: 'f32', tokenizer: false })
  const logits = Array.from(await model.session().feed(ids), rounded)
  model.dispose()
  return { rows, logits }
}

const rounded = (v: number) => Number(v.toPrecision(7))

export interface Golden {
  readonly rows: Readonly<Record<string, readonly number[]>>
  readonly logits: readonly number[]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await writeGoldenArtifact(folder)
}
