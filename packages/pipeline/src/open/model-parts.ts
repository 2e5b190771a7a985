import { sizeOf } from '@reallm/tensor-io'
import { allTensors, linearModules, type TransformerConfig } from '@reallm/transformer'
import type { MatrixKind, MatrixModule } from '../recipes/recipe.ts'

/** A model taken apart: what gets a codec, and what is stored as it is. */
export interface ModelParts {
  /** Embedding first, then the blocks in order, then an untied head. */
  readonly matrices: readonly MatrixModule[]
  /** Names and shapes of norms and biases. */
  readonly plain: ReadonlyMap<string, readonly number[]>
  /** Weights of the whole model. */
  readonly parameters: number
  /** Weights that a budget of bits is averaged over: all, or those of the blocks' matrices. */
  readonly counted: number
}

/** What is encoded: every matrix, or those of the blocks, embedding and head staying as they are. */
export type Scope = 'all' | 'blocks'

/** Sorts a model's tensors into matrices to encode and tensors to keep. */
export function partsOfModel(config: TransformerConfig, scope: Scope = 'all'): ModelParts {
  const { vocabSize, hiddenSize, layers, tiedHead } = config
  const outer = (name: string, kind: MatrixKind): MatrixModule => ({
    name,
    kind,
    shape: [vocabSize, hiddenSize],
    ...(tiedHead && { tied: true }),
  })
  const matrices: MatrixModule[] = []
  if (scope === 'all') matrices.push(outer('model.embed_tokens', 'embed_tokens'))
  for (let i = 0; i < layers; i++) {
    for (const { name, shape } of linearModules(config, i)) {
      const kind = name.slice(name.lastIndexOf('.') + 1) as MatrixKind
      const attention = name.includes('self_attn') && { headDim: config.headDim }
      matrices.push({ name, shape, kind, block: i, ...attention })
    }
  }
  if (scope === 'all' && !tiedHead) matrices.push(outer('lm_head', 'lm_head'))
  const all = allTensors(config)
  const encoded = new Set(matrices.map(m => `${m.name}.weight`))
  const weightsOf = (shapes: Iterable<readonly number[]>) =>
    [...shapes].reduce((sum, shape) => sum + sizeOf(shape), 0)
  const parameters = weightsOf(all.values())
  return {
    matrices,
    plain: new Map([...all].filter(([name]) => !encoded.has(name))),
    parameters,
    counted: scope === 'all' ? parameters : weightsOf(matrices.map(m => m.shape)),
  }
}
