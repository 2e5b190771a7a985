import { ReallmError } from '@reallm/tensor-io'
import { ggufTypes } from './configurations/gguf.ts'
import { paperConfigurations } from './configurations/neural.ts'
import { onnxEmbeddings, onnxMatrices } from './configurations/onnx.ts'
import { gridRates, gridRatesWithFeedback, normalFloatRates } from './configurations/scalar.ts'
import {
  embeddingTrellisAt,
  neuralTrellisAt,
  quickDecoding,
  scaledTrellisAt,
  trellisAt,
} from './configurations/trellis.ts'
import { e8Rates, normalFloatWithRank, vectorRates, vectorsWithRank } from './configurations/vectors.ts'
import { type Objective, type Recipe, recipe } from './recipe.ts'
import { baselines } from './related/baselines.ts'

const outputs: Objective = { kind: 'outputs' }
const bothSides: Objective = { kind: 'outputs', asymmetric: true, outputGradients: true }
const withFeedback = { kind: 'perMatrix', errorFeedback: true } as const

/** `from`, `from + step`, …, `to` */
const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step)

/** Every built-in recipe, the default one first. */
export const recipes: readonly Recipe[] = [
  recipe({
    name: 'reallm',
    what: 'the best mix: rotated trellis codes with two-sided error feedback on the outputs of the quantised layers, rates by search',
    source: 'ReALLM arXiv 2405.13155, QTIP 2406.11235, YAQA 2505.22988',
    layers: scaledTrellisAt(range(1, 6, 0.25)),
    embeddings: embeddingTrellisAt(range(1, 6, 0.25)),
    allocate: 'measured',
    objective: bothSides,
    quantise: withFeedback,
  }),
  recipe({
    name: 'reallm-packed',
    what: 'as reallm, with tables of 256 values at any effort: decodes quicker where weights stay packed, loses a little more',
    source: 'ReALLM arXiv 2405.13155, QTIP 2406.11235, YAQA 2505.22988',
    layers: scaledTrellisAt(range(1, 5, 0.25), quickDecoding),
    embeddings: embeddingTrellisAt(range(1, 5, 0.25), quickDecoding),
    allocate: 'measured',
    objective: bothSides,
    quantise: withFeedback,
  }),
  recipe({
    name: 'trellis',
    what: 'rotated trellis codes with one-sided error feedback',
    source: 'QTIP arXiv 2406.11235',
    layers: trellisAt(range(1, 4, 1)),
    embeddings: embeddingTrellisAt(range(1, 4, 1)),
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'neural-trellis',
    what: 'trellis codes whose values come from a small network, one for all matrices of a kind, with two-sided error feedback',
    source: 'ReALLM arXiv 2405.13155, QTIP 2406.11235',
    layers: neuralTrellisAt(range(1, 4, 0.5)),
    embeddings: embeddingTrellisAt(range(1, 4, 0.5)),
    allocate: 'measured',
    objective: bothSides,
    quantise: withFeedback,
  }),
  recipe({
    name: 'reallm-vq',
    what: 'vector quantisation beside a low-rank part, by alternation, without a network',
    source: 'ReALLM arXiv 2405.13155',
    layers: vectorsWithRank,
    embeddings: vectorRates,
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'reallm-paper',
    what: 'the paper: a low-rank part beside vectors or a neural decoder over few-bit latents, chosen for each matrix',
    source: 'ReALLM arXiv 2405.13155, HNeRV 2304.02633',
    layers: paperConfigurations,
    embeddings: vectorRates,
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'e8',
    what: 'the E8 lattice on rotated weights, with error feedback',
    source: 'QuIP# arXiv 2402.04396',
    layers: () => [...e8Rates(), ...vectorRates()],
    embeddings: gridRatesWithFeedback,
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'vq',
    what: 'k-means codebooks of 2 or 4 weights, with error feedback',
    source: 'GPTVQ arXiv 2402.15319',
    layers: vectorRates,
    embeddings: vectorRates,
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'gptq',
    what: 'uniform integers with error feedback',
    source: 'GPTQ arXiv 2210.17323',
    layers: gridRatesWithFeedback,
    embeddings: gridRatesWithFeedback,
    allocate: 'measured',
    objective: outputs,
    quantise: withFeedback,
  }),
  recipe({
    name: 'lq-lora',
    what: 'NormalFloat beside a low-rank part, by alternation; one configuration for each matrix by knapsack',
    source: 'LQ-LoRA arXiv 2311.12023',
    layers: normalFloatWithRank,
    embeddings: normalFloatRates,
    allocate: 'measured',
    objective: { kind: 'fisher' },
  }),
  recipe({
    name: 'nf',
    what: 'NormalFloat with double-quantised scales',
    source: 'QLoRA arXiv 2305.14314',
    layers: normalFloatRates,
    embeddings: normalFloatRates,
    allocate: 'measured',
    objective: { kind: 'weights' },
  }),
  recipe({
    name: 'rtn',
    what: 'uniform integers, rounded to nearest: the baseline',
    source: 'folklore',
    layers: gridRates,
    embeddings: gridRates,
    allocate: 'measured',
    objective: { kind: 'weights' },
  }),
  recipe({
    name: 'gguf',
    what: "GGUF's block types with two-sided error feedback on the outputs of the quantised layers, a type for each matrix by search",
    source: 'llama.cpp, GPTQ arXiv 2210.17323, YAQA 2505.22988',
    target: 'gguf',
    layers: ggufTypes,
    embeddings: ggufTypes,
    allocate: 'measured',
    objective: bothSides,
    quantise: withFeedback,
  }),
  recipe({
    name: 'onnx',
    what: "ONNX Runtime's blocks of 2, 4 and 8 bits with two-sided error feedback on the outputs of the quantised layers, rates by search",
    source: 'ONNX Runtime, GPTQ arXiv 2210.17323, YAQA 2505.22988',
    target: 'onnx',
    layers: onnxMatrices,
    embeddings: onnxEmbeddings,
    allocate: 'measured',
    objective: bothSides,
    quantise: withFeedback,
  }),
  ...baselines,
]

/** A recipe by name; throws `bad-option` listing the known ones. */
export function builtInRecipe(name: string): Recipe {
  const found = recipes.find(r => r.name === name)
  if (found) return found
  throw new ReallmError('bad-option', `unknown recipe ${name}`, {
    hint: `known: ${recipes.map(r => r.name).join(', ')}`,
  })
}
