import { type MatrixShape, sizeOf } from '@reallm/tensor-io'
import { projectionGroups, projectionsOf } from '@reallm/tensor-io/models'
import { allTensors, linearModules, type TransformerConfig } from '@reallm/transformer'

/** A matrix of a model, to be stored. */
export interface MatrixModule {
  /** `model.layers.0.self_attn.q_proj`; its weight is `<name>.weight`. */
  readonly name: string
  /** Last part of the name, which recipes and shared decoders group by: `q_proj`, `embed_tokens`, `lm_head`, … */
  readonly kind: string
  /** `[out, in]` */
  readonly shape: MatrixShape
  /** First of its projection group: those that read one input draw from one seed, so that it is rotated once for all. */
  readonly group?: string
  /** Index of its layer; absent for embedding and head. */
  readonly layer?: number
  /** Rows of an attention head, for attention's matrices; columns of `o_proj`. */
  readonly headDim?: number
  /** Sides whose norms differ so much that scales pay; known once a layer's weights were read. */
  readonly uneven?: { readonly rows: boolean; readonly cols: boolean }
  /** Set for an embedding that is the output head too. */
  readonly tied?: true
}

/** A model taken apart: what gets a codec, and what is stored as it is. */
export interface ModelParts {
  /** Embedding first, then the layers in order, then an untied head. */
  readonly matrices: readonly MatrixModule[]
  /** Names and shapes of norms and biases. */
  readonly plain: ReadonlyMap<string, readonly number[]>
  /** Weights of the whole model. */
  readonly parameters: number
  /** Weights that a budget of bits is averaged over: all, or those of the layers' matrices. */
  readonly counted: number
}

/** What is encoded: every matrix, or those of the layers; embedding and head then stay as they are. */
export type Scope = 'all' | 'blocks'

/** Sorts a model's tensors into matrices to encode and tensors to keep. */
export function partsOfModel(config: TransformerConfig, scope: Scope = 'all'): ModelParts {
  const { vocabSize, hiddenSize, layers, tiedHead } = config
  const vocabularyMatrix = (name: string, kind: string): MatrixModule => ({
    name,
    kind,
    shape: [vocabSize, hiddenSize],
    ...(tiedHead && { tied: true }),
  })
  const matrices: MatrixModule[] = []
  if (scope === 'all') matrices.push(vocabularyMatrix('model.embed_tokens', 'embed_tokens'))
  for (let i = 0; i < layers; i++) {
    const { mixer } = config.layerSpecs[i]
    const inHeads = new Set([...projectionsOf(mixer).map(({ module }) => module.name), mixer.output.name])
    const groups = Object.values(projectionGroups(config.layerSpecs[i])).flatMap(each =>
      each.map(group => group.map(({ name }) => name)),
    )
    for (const { name, shape } of linearModules(config, i)) {
      const [group] = groups.find(names => names.includes(name))!
      const kind = name.slice(name.lastIndexOf('.') + 1)
      const attention = mixer.kind === 'attention' && inHeads.has(name) && { headDim: mixer.headDim }
      matrices.push({ name, shape, kind, group, layer: i, ...attention })
    }
  }
  if (scope === 'all' && !tiedHead) matrices.push(vocabularyMatrix('lm_head', 'lm_head'))
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
