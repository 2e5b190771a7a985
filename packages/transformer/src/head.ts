import { sizeOf } from '@reallm/tensor-io'
import type { ModelWeights, TransformerConfig } from '@reallm/tensor-io/models'
import type { Hooks, Weights } from './modules.ts'
import { linear } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'
import { pieceWeights } from './token-rows.ts'
import { finalNorm, head, headWeight, logits } from './transformer.ts'
import { loadTensors } from './weights.ts'

/** Last norm and output head, whose matrix need not be in memory. */
export interface Head {
  /** Positions to hand in at a time, where each call reads the matrix anew; absent: it is in memory. */
  readonly positions?: number
  /** `[positions, streamWidth]` → logits `[positions, vocabulary]`; the caller disposes of them. */
  logits(x: TfTensor): Promise<TfTensor>
  /** The last norm's weights. */
  readonly norm: Weights
  /** Rows of the matrix from number `from` on, all rows of it one piece after the other; a piece lives for the call only. */
  eachPiece(use: (piece: TfTensor, from: number) => void): Promise<void>
}

/** Weights of the largest matrix that is loaded whole: a larger one is read in pieces. */
const wholeWeights = 2 ** 26
/** Logits of the positions that are handed in at a time. */
const heldLogits = 2 ** 25

/** A head whose weights are in memory. */
export const loadedHead = (config: TransformerConfig, weights: Weights, hooks?: Hooks): Head => ({
  norm: weights,
  logits: async x => tf.tidy(() => head(config, weights, x.expandDims(0), hooks).squeeze([0]) as TfTensor),
  eachPiece: async use => use(weights[headWeight(config)], 0),
})

/** Runs `use` with the head of a model, of whose matrix at most `most` weights are in memory. */
export async function withHead<T>(
  model: ModelWeights,
  use: (head: Head) => T | Promise<T>,
  most = wholeWeights,
): Promise<T> {
  const { config } = model
  const matrix = headWeight(config)
  const isWhole = sizeOf(model.shapes.get(matrix)!) <= most
  const norm = `${config.norm.name}.weight`
  const weights = await loadTensors(model, isWhole ? [norm, matrix] : [norm])
  try {
    return await use(isWhole ? loadedHead(config, weights) : headInPieces(model, weights, most))
  } finally {
    tf.dispose(weights)
  }
}

function headInPieces(model: ModelWeights, norm: Weights, most: number): Head {
  const { config } = model
  const name = headWeight(config)
  const [vocabulary, cols] = model.shapes.get(name)!
  const each = Math.ceil(Math.min(pieceWeights, most) / cols)
  async function eachPiece(use: (piece: TfTensor, from: number) => void): Promise<void> {
    for (let from = 0; from < vocabulary; from += each) {
      const { data, shape } = await model.read(name, [from, Math.min(vocabulary, from + each)])
      const piece = tf.tensor2d(data, shape as [number, number])
      use(piece, from)
      piece.dispose()
    }
  }
  return {
    norm,
    positions: Math.ceil(heldLogits / vocabulary),
    eachPiece,
    async logits(x) {
      const input = tf.tidy(() => finalNorm(config, norm, x.expandDims(0)))
      const products: TfTensor[] = []
      await eachPiece(piece => products.push(tf.tidy(() => linear(input, piece))))
      const found = tf.tidy(() => logits(config, tf.concat(products, 2) as TfTensor).squeeze([0]) as TfTensor)
      tf.dispose([input, products])
      return found
    },
  }
}
