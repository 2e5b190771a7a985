import { readFile } from 'node:fs/promises'
import { gram } from '../../../packages/kernels/src/index.ts'
import { type Sequences, sequencesOfTexts } from '../../../packages/pipeline/src/calibrate/sequences.ts'
import { type Matrix, zeroMatrix } from '../../../packages/tensor-io/src/index.ts'
import {
  block,
  embedTokens,
  loadBlock,
  type ModelWeights,
  rowsOf,
  type TfTensor,
  tf,
  tokenRows,
} from '../../../packages/transformer/src/index.ts'

/** Kinds of a layer's matrices. */
export const kinds = [
  ...['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
  ...['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'],
]

/** Matrices that multiply the input of another. */
const sameInput: Readonly<Record<string, string>> = {
  'self_attn.k_proj': 'self_attn.q_proj',
  'self_attn.v_proj': 'self_attn.q_proj',
  'mlp.up_proj': 'mlp.gate_proj',
}

const inputs = kinds.filter(kind => !(kind in sameInput))

export const nameOf = (layer: number, kind: string): string => `model.layers.${layer}.${kind}`

export async function weightOf(model: ModelWeights, layer: number, kind: string): Promise<Matrix> {
  const { shape, data } = await model.read(`${nameOf(layer, kind)}.weight`)
  return { rows: shape[0], cols: shape[1], data }
}

/** `H = XᵀX / tokens` of a matrix's inputs. */
export interface Hessians {
  /** Of the tokens that rounding knows. */
  readonly rounding: Matrix
  /** Of as many others, for measuring. */
  readonly measuring: Matrix
}

/** Sequences of the built-in calibration text: some to calibrate with, the last ones to measure on. */
export async function sequencesOf(model: ModelWeights, calibration: number): Promise<Sequences> {
  const text = await readFile(new URL('../../../packages/pipeline/calibration.txt', import.meta.url), 'utf8')
  const ids = (await model.tokenizer()).encode(text)
  return sequencesOfTexts([{ ids, source: 'calibration text' }], { calibration, validation: 4, length: 512 })
}

/** The stream of each sequence before the first layer. */
export async function embedded(model: ModelWeights, sequences: readonly Int32Array[]): Promise<TfTensor[]> {
  const rows = await tokenRows(rowsOf(model, 'model.embed_tokens.weight'), sequences)
  const streams = []
  for (const sequence of sequences) streams.push(await embedTokens(model, [[...sequence]], rows))
  return streams
}

/** Hessians of all matrices of some layers, each of half of the sequences. */
export async function hessiansOf(
  model: ModelWeights,
  layers: readonly number[],
  sequences: readonly Int32Array[],
): Promise<(layer: number, kind: string) => Hessians> {
  const streams = await embedded(model, sequences)
  const sums = new Map<string, [Matrix, Matrix]>()
  for (let layer = 0; layer <= Math.max(...layers); layer++) {
    const weights = await loadBlock(model, layer)
    const wanted = new Set(layers.includes(layer) ? inputs.map(kind => nameOf(layer, kind)) : [])
    for (const [s, stream] of streams.entries()) {
      streams[s] = block(model.config, weights, layer, stream, {
        onInput(name, input) {
          if (!wanted.has(name)) return
          const cols = input.shape.at(-1)!
          const x = { rows: input.size / cols, cols, data: input.dataSync() as Float32Array }
          const both = sums.get(name) ?? [zeroMatrix(cols, cols), zeroMatrix(cols, cols)]
          sums.set(name, both)
          gram(x, both[s % 2])
        },
      })
      stream.dispose()
    }
    tf.dispose(weights)
  }
  tf.dispose(streams)
  const tokens = (sequences.length * sequences[0].length) / 2
  for (const { data } of [...sums.values()].flat()) for (let i = 0; i < data.length; i++) data[i] /= tokens
  return (layer, kind) => {
    const [rounding, measuring] = sums.get(nameOf(layer, sameInput[kind] ?? kind))!
    return { rounding, measuring }
  }
}
