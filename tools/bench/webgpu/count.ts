import type { GpuProgram } from '../../../packages/runtime/src/backend/webgpu/program.ts'
import {
  attentionOf,
  type ModelWeights,
  type TransformerConfig,
} from '../../../packages/tensor-io/src/models/index.ts'
import { sumOf, trafficOf, trafficOfChoice } from './traffic.ts'

/** What a token costs at a position, counted from the dispatches; bytes. */
export interface Count {
  readonly dispatches: number
  readonly dispatchesPerLayer: number
  readonly weights: number
  readonly cache: number
  readonly vectors: number
  /** Stored bytes that a token needs, and keys and values on two bytes each. */
  readonly least: number
}

export function countToken(program: GpuProgram, model: ModelWeights, context: number): Count {
  const all = program.prepared
  const head = all.findIndex(({ name }) => name === 'head')
  const choice = trafficOfChoice(model.config.vocabSize)
  return {
    dispatches: all.length + 1,
    // The head has a norm before it and a choice after it.
    dispatchesPerLayer: Math.ceil((head - 1) / model.config.layerSpecs.length),
    ...sumOf([...all.map(each => trafficOf(each, context)), choice]),
    least: storedBytes(model) + leastCache(model.config, context),
  }
}

/** Bytes of a model's files that every token needs: all but the embedding, of which it looks one row up. */
function storedBytes({ config, names, bytesOf }: ModelWeights): number {
  const all = names.reduce((sum, name) => sum + bytesOf(name), 0)
  const embedding = bytesOf('model.embed_tokens.weight')
  return config.tiedHead ? all : all - embedding + embedding / config.vocabSize
}

const leastCache = ({ layerSpecs }: TransformerConfig, positions: number): number =>
  layerSpecs.reduce((sum, { mixer }) => {
    const { kvHeads, headDim, window = positions } = attentionOf(mixer, 'this bench')
    return sum + 4 * kvHeads * headDim * Math.min(window, positions)
  }, 0)
