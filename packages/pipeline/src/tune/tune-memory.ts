import type { OpenedModel } from '../open/open-model.ts'

/** Tokens of a sequence that is trained on, at most. */
export const longestSequence = 256
/** Floats that a training step keeps for its backward pass, for each output of a linear layer at each position. */
const keptPerOutput = 12
/** Predictions of a sequence that the original's pass holds at a time. */
const heldPredictions = 3
/** Logits that the loss holds at a time, and how many tensors of them (`headLoss`). */
const loss = { logits: 2 ** 23, copies: 6 }

/** Bytes that training after rounding holds beside its process at its peak. */
export interface TuneMemory {
  /** With the activations of all layers. */
  readonly whole: number
  /** With those of one layer at a time, which are computed twice. */
  readonly checkpointed: number
}

/**
 * What training holds: first the model and the original, both in float32, with the original's predictions; then the model alone,
 * with what a sequence leaves behind for the backward pass.
 */
export function tuneMemory({ config, parts: { matrices, parameters } }: OpenedModel): TuneMemory {
  const positions = Math.min(longestSequence, config.maxPositions)
  const weights = 4 * parameters
  const predictions = 4 * positions * config.vocabSize
  const teaching = 2 * weights + heldPredictions * predictions
  const layers = new Map<number, number>()
  for (const { layer, shape } of matrices) {
    if (layer !== undefined)
      layers.set(layer, (layers.get(layer) ?? 0) + 4 * positions * keptPerOutput * shape[0])
  }
  const kept = [...layers.values()]
  const own = weights + loss.copies * Math.min(4 * loss.logits, predictions)
  const between = 4 * positions * config.hiddenSize * config.layers
  return {
    whole: Math.max(teaching, own + kept.reduce((sum, bytes) => sum + bytes, 0)),
    checkpointed: Math.max(teaching, own + between + 2 * Math.max(0, ...kept)),
  }
}
