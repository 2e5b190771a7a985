import type { SequenceStates } from '@reallm/finetune'
import { bitsOf, type EncodedMatrix, type LongWork, type Matrix, ReallmError } from '@reallm/tensor-io'
import type { ModelWeights, TransformerConfig, Weights } from '@reallm/transformer'
import type { Sequences } from '../calibrate/sequences.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { TargetName } from '../output/target-name.ts'
import type { TunedLayer } from '../quantise/tuned-layer.ts'
import type { Configuration } from './configuration.ts'

/** How long a compression may take, the quickest first. */
export const efforts = ['fast', 'normal', 'best'] as const
/** How long to search: on how much text, and how near to the rate-distortion limit. */
export type Effort = (typeof efforts)[number]

/** The configurations that a matrix may get, at several rates. */
export type ConfigurationsOf = (module: MatrixModule, effort: Effort) => readonly Configuration[]

/** What rounding makes small. */
export type Objective =
  /** `‖ΔW‖²`: needs no calibration. */
  | { readonly kind: 'weights' }
  /** `tr(ΔW H ΔWᵀ)`, H being the Hessian of the inputs behind everything that is quantised already. */
  | {
      readonly kind: 'outputs'
      /** Moves the target to what the original layer gives on its own inputs (asymmetric calibration). */
      readonly asymmetric?: true
      /** Weighs outputs by the covariance of their gradients, and tokens by their size; from effort `normal` on. */
      readonly outputGradients?: true
    }
  /** `Σ rows[i] · cols[j] · ΔW[i, j]²`, the diagonal Fisher information of the weights (LQ-LoRA §3.2). */
  | { readonly kind: 'fisher' }

/** Matrices one by one, a layer at a time; optionally each layer is trained once its matrices are stored. */
export interface PerMatrix {
  readonly kind: 'perMatrix'
  /** Rounds with error feedback (GPTQ, LDLQ): the report says what that gains. */
  readonly errorFeedback?: true
  /** Trains what a layer stores, except its codes, and its norms (AQLM §3.4). */
  readonly tune?: (job: LayerJob) => Promise<TunedLayer>
}

/** The matrices of all layers at once, where they are trained or depend on each other. */
export interface Joint {
  readonly kind: 'joint'
  /** Trains on the calibration text, and takes more of it. */
  readonly trains?: true
  /** Returns all matrices of the layers, each as large as its configuration says. */
  readonly run: (job: JointJob) => Promise<ReadonlyMap<string, EncodedMatrix>>
}

/** A way of compressing, as data. */
export interface Recipe {
  readonly name: string
  /** One line for people. */
  readonly what: string
  /** The paper it comes from. */
  readonly source: string
  /** The target that its codecs are for; default `reallm`. */
  readonly target?: TargetName
  readonly layers: ConfigurationsOf
  /** For embedding and head, whose rows must be readable one by one. */
  readonly embeddings: ConfigurationsOf
  /**
   * How the budget is split: by measured sensitivity, by the distortion that theory predicts, or alike, every matrix of
   * the layers getting the configuration of the same rank in size.
   */
  readonly allocate: 'measured' | 'predicted' | 'uniform'
  readonly objective: Objective
  readonly quantise: PerMatrix | Joint
}

/** What a joint recipe works on. */
export interface JointJob extends LongWork {
  readonly model: ModelWeights
  /** By module. */
  readonly configurations: ReadonlyMap<string, Configuration>
  /** Embedding and head as they decode from what is stored, by module; those of `model` where absent. */
  readonly embeddings: ReadonlyMap<string, Matrix>
  readonly sequences: Sequences
  readonly effort: Effort
  readonly seed: number
  /** Directory for the checkpoints of a training. */
  readonly work: string
}

/** A layer whose matrices are stored, to be trained. */
export interface LayerJob extends LongWork {
  readonly config: TransformerConfig
  readonly layer: number
  /** Its norms, and its matrices as they decode. */
  readonly weights: Weights
  /** Its stored matrices, by module. */
  readonly encoded: ReadonlyMap<string, EncodedMatrix>
  /** Before the layer, behind everything quantised and trained, `[positions · hidden]` for each sequence. */
  readonly inputs: SequenceStates
  /** Behind the original layer, in the original model. */
  readonly targets: SequenceStates
  readonly effort: Effort
  readonly seed: number
}

/** What calibration has to keep of gradients for a recipe. */
export interface KeptStatistics {
  readonly outputGradients: boolean
  readonly fisher: boolean
}

/** Output gradients take time that effort `fast` has not. */
export const keptStatistics = ({ objective }: Recipe, effort: Effort): KeptStatistics => ({
  outputGradients: objective.kind === 'outputs' && objective.outputGradients === true && effort !== 'fast',
  fisher: objective.kind === 'fisher',
})

/** Whether rounding needs Hessians, and so forward passes. */
export const needsHessians = ({ objective }: Recipe): boolean => objective.kind !== 'weights'

/** Whether targets are moved to the original's outputs. */
export const isAsymmetric = ({ objective }: Recipe): boolean =>
  objective.kind === 'outputs' && objective.asymmetric === true

/** How each layer is trained once its matrices are stored, where the recipe does. */
export const layerTraining = ({ quantise }: Recipe): PerMatrix['tune'] =>
  quantise.kind === 'perMatrix' ? quantise.tune : undefined

/**
 * A recipe of your own: which configurations, for which objective.
 *
 * @example
 * const plain = recipe({
 *   name: 'plain', what: 'round to nearest', source: 'folklore',
 *   layers: () => [2, 3, 4].map(bits => configuration({ id: `grid-${bits}b`, codec: grid, params: { bits, group: 64 } })),
 *   embeddings: () => [configuration({ id: 'grid-4b', codec: grid, params: { bits: 4, group: 64 } })],
 *   allocate: 'measured',
 *   objective: { kind: 'weights' },
 * })
 */
export const recipe = (parts: Omit<Recipe, 'quantise'> & Partial<Pick<Recipe, 'quantise'>>): Recipe => ({
  quantise: { kind: 'perMatrix' },
  ...parts,
})

const offered = (recipe: Recipe, module: MatrixModule, effort: Effort): readonly Configuration[] =>
  (module.layer === undefined ? recipe.embeddings : recipe.layers)(module, effort)

/**
 * The configurations of a recipe that fit a matrix's shape.
 *
 * @throws what the codec said of the shape when none fits
 */
export function configurationsFor(recipe: Recipe, module: MatrixModule, effort: Effort): Configuration[] {
  let refusal: unknown
  const fitting = offered(recipe, module, effort).filter(configuration => {
    try {
      return bitsOf(configuration.cost(module.shape)) > 0
    } catch (error) {
      refusal = error
      return false
    }
  })
  if (fitting.length > 0) return fitting
  const why = refusal instanceof Error ? refusal.message : 'it offers nothing for it'
  throw new ReallmError(
    'bad-option',
    `${module.name} [${module.shape.join('×')}]: the recipe ${recipe.name} does not fit: ${why}`,
    {
      hint: (refusal instanceof ReallmError ? refusal.hint : undefined) ?? 'choose another recipe',
      cause: refusal,
    },
  )
}

/**
 * The configuration, or the trial of one, that has this id.
 *
 * @throws `bad-option` when the recipe offers none
 */
export function findConfiguration(
  recipe: Recipe,
  module: MatrixModule,
  effort: Effort,
  id: string,
): Configuration {
  for (const each of offered(recipe, module, effort)) {
    for (const found of [each, ...(each.trials ?? [])]) if (found.id === id) return found
  }
  throw new ReallmError(
    'bad-option',
    `${module.name}: the recipe ${recipe.name} has no configuration ${id}`,
    {
      hint: 'use the same version on all machines',
    },
  )
}
