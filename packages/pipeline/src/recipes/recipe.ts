import type { Stream } from '@reallm/finetune'
import {
  bitsOf,
  type EncodeContext,
  type EncodedMatrix,
  type LongWork,
  type Matrix,
  type MatrixCodec,
  type MatrixShape,
  ReallmError,
  type StorageCost,
  type Tensor,
} from '@reallm/tensor-io'
import type { ModelWeights, TransformerConfig, Weights } from '@reallm/transformer'
import type { Windows } from '../calibrate/sequences.ts'
import type { TunedBlock } from '../checkpoint/tuned-layer.ts'

/** What a matrix does in the model; recipes choose by it. */
export type MatrixKind =
  | 'q_proj'
  | 'k_proj'
  | 'v_proj'
  | 'o_proj'
  | 'gate_proj'
  | 'up_proj'
  | 'down_proj'
  | 'embed_tokens'
  | 'lm_head'

/** A matrix of a model, to be stored. */
export interface MatrixModule {
  /** `model.layers.0.self_attn.q_proj`; its weight is `<name>.weight`. */
  readonly name: string
  readonly kind: MatrixKind
  /** `[out, in]` */
  readonly shape: MatrixShape
  /** Index of its block; absent for embedding and head. */
  readonly block?: number
  /** Rows of a head, of attention's matrices: columns of `o_proj`. */
  readonly headDim?: number
  /** An embedding that is the output head too. */
  readonly tied?: boolean
}

export const efforts = ['fast', 'normal', 'best'] as const
/** How long to search: on how much text, with which trellis, and (over `fast`) with two-sided feedback. */
export type Effort = (typeof efforts)[number]

/** What is fitted to a group of like matrices, and stored once for all of them. */
export interface SharedFit {
  /** Whether a part of the choice's cost is one of those that all matrices of a group store alike. */
  includes(part: string): boolean
  /** Fits those parts to rows of the group's matrices: their tensors by name. */
  fit(group: readonly Matrix[], ctx: LongWork & { readonly seed: number }): Promise<SharedTensors>
  /** The same choice with fitted parts. */
  with(fitted: SharedTensors): Choice
}

export type SharedTensors = Readonly<Record<string, Tensor>>

/** One way to store one matrix: a codec with its parameters. */
export interface Choice {
  /** `trellis k=3 L=10` */
  readonly label: string
  /** Choices of one family differ in rate only: measuring some tells about the others. */
  readonly family?: string
  /** Parameters of the codec. */
  readonly params: unknown
  /**
   * Where encoding trains: what stores the same with less training, the shortest first. The search measures those in the
   * place of this one, and stops when it is beaten.
   */
  readonly trials?: readonly Choice[]
  /** One decoder for all matrices of a kind that get a choice of this label, fitted before any of them is encoded. */
  readonly shared?: SharedFit
  /** Rows are stored together, as a product of factors is: the search measures it on all of them. */
  readonly joint?: boolean
  /** Every tensor it will store. Throws `bad-option` when the shape does not fit. */
  cost(shape: MatrixShape): StorageCost
  encode(w: Matrix, ctx: EncodeContext): Promise<EncodedMatrix>
  decode(e: EncodedMatrix): Matrix
}

/** A codec or composition with its parameters, as a choice. */
export function choice<Params>(
  label: string,
  codec: MatrixCodec<Params>,
  params: Params,
  family?: string,
): Choice {
  return {
    label,
    params,
    ...(family !== undefined && { family }),
    cost: shape => codec.cost(shape, params),
    encode: (w, ctx) => codec.encode(w, params, ctx),
    decode: e => codec.decode(e),
  }
}

/** All matrices of a model's blocks, to be encoded together. */
export interface BlocksJob extends LongWork {
  readonly model: ModelWeights
  /** What was chosen for each matrix, by module. */
  readonly choices: ReadonlyMap<string, Choice>
  /** Embedding and head as they decode from what is stored, by module; those of `model` where absent. */
  readonly outer: ReadonlyMap<string, Matrix>
  readonly windows: Windows
  readonly effort: Effort
  readonly seed: number
  /** Directory where a run that was stopped finds its checkpoints again. */
  readonly work: string
}

/** A block that is encoded, to be tuned. */
export interface BlockJob extends LongWork {
  readonly config: TransformerConfig
  /** Its index. */
  readonly block: number
  /** Its norms, and its matrices as they decode. */
  readonly weights: Weights
  /** Its stored matrices, by module. */
  readonly encoded: ReadonlyMap<string, EncodedMatrix>
  /** In front of it, behind what is quantised and tuned, `[positions · hidden]` for each window. */
  readonly inputs: Stream
  /** Behind the original block, of the original model. */
  readonly targets: Stream
  readonly effort: Effort
  readonly seed: number
}

/** Everything that sets one way of compressing a model apart from another. */
export interface RecipeParts {
  /** One line for people. */
  readonly what: string
  /** The paper it comes from. */
  readonly source: string
  /** The ways that a matrix of a block may be stored, at several rates. */
  readonly block: (module: MatrixModule, effort: Effort) => readonly Choice[]
  /** The same for embedding and head; rows must be readable alone. */
  readonly embedding: (module: MatrixModule, effort: Effort) => readonly Choice[]
  /** Uses the second moments of the inputs, gathered behind the quantised prefix. */
  readonly calibrated?: boolean
  /** Splits the budget by measured damage, as calibrated recipes do, but encodes without second moments. */
  readonly surveyed?: boolean
  /** Corrects for what the quantised prefix has changed (methods §11, asymmetric correction). */
  readonly asymmetric?: boolean
  /** Uses the second moments of the outputs' gradients too, and weighs tokens by them in those of the inputs. */
  readonly twoSided?: boolean
  /** Rounds with feedback: the report says what that gains. */
  readonly feedback?: boolean
  /** Encodes under the diagonal of the weights' Fisher information in the place of second moments (LQ-LoRA §3.2). */
  readonly fisher?: boolean
  /** All matrices of the blocks that have a choice get the one of the same rank in size, as budgets by share do. */
  readonly uniform?: boolean
  /**
   * Encodes the matrices of all blocks at once, where they are trained or depend on each other; embedding and head
   * come first, one by one. Each result takes what its choice costs.
   */
  readonly together?: (job: BlocksJob) => Promise<ReadonlyMap<string, EncodedMatrix>>
  /** Trains what a block stores, but its codes, and its norms when all its matrices are encoded (AQLM §3.4). */
  readonly tune?: (job: BlockJob) => Promise<TunedBlock>
  /** Trains on the calibration text, and takes more of it. */
  readonly trained?: boolean
}

export interface Recipe extends RecipeParts {
  readonly name: string
}

/** Whether the damages that a budget is split by are measured, not predicted. */
export const isSurveyed = ({ calibrated, surveyed }: RecipeParts): boolean =>
  calibrated === true || surveyed === true

/**
 * A recipe is a sentence: which codec, at which rates, with which calibration.
 *
 * @example
 * const plain = recipe('plain', {
 *   what: 'round to nearest', source: 'folklore',
 *   block: () => [2, 3, 4].map(bits => choice(`grid ${bits}`, grid, { bits, group: 64 })),
 *   embedding: () => [choice('grid 4', grid, { bits: 4, group: 64 })],
 * })
 */
export const recipe = (name: string, parts: RecipeParts): Recipe => ({ name, ...parts })

/**
 * The choices of a recipe that fit a matrix's shape.
 *
 * @throws what the codec said of the shape when none fits
 */
export function choicesFor(recipe: Recipe, module: MatrixModule, effort: Effort): Choice[] {
  const all = (module.block === undefined ? recipe.embedding : recipe.block)(module, effort)
  let refusal: unknown
  const fitting = all.filter(choice => {
    try {
      return bitsOf(choice.cost(module.shape)) > 0
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
