import type { LongWork, Matrix } from '@reallm/tensor-io'
import type { ModelWeights, TransformerConfig } from '@reallm/transformer'
import type { Plan } from './allocate/allocate-bits.ts'
import type { Fisher } from './calibrate/gradients.ts'
import type { Windows } from './calibrate/sequences.ts'
import type { Journal } from './checkpoint/journal.ts'
import type { Ledger } from './checkpoint/ledger.ts'
import type { TunedBlocks } from './checkpoint/tuned-layer.ts'
import type { EncodePool } from './encoder/encoder.ts'
import type { SharedFits } from './encoder/shared-decoders.ts'
import type { Effort, Recipe } from './recipes/recipe.ts'

/** Everything that the steps of one compression share. */
export interface Run extends LongWork {
  readonly model: ModelWeights
  readonly config: TransformerConfig
  readonly recipe: Recipe
  readonly effort: Effort
  readonly seed: number
  readonly windows: Windows
  readonly plan: Plan
  readonly journal: Journal
  readonly ledger: Ledger
  readonly tuned: TunedBlocks
  readonly pool: EncodePool
  readonly shared: SharedFits
  /** Mean squared gradient at the embedding's output, 0 where it was not measured. */
  readonly inputSensitivity: number
  /** Path of a scratch file when activations are too large for memory. */
  spill(name: string): string | undefined
  /** Second moment of the gradients at a module's outputs, where the recipe is two-sided. */
  outputHessian(module: string): Promise<Matrix | undefined>
  /** Second moment of the head's inputs in the original model, where the recipe is two-sided. */
  headMoment(): Promise<Matrix | undefined>
  /**
   * How much each token counts in the second moments of a group of modules, by the first of them: `[windows, positions]`,
   * 1 on average; where the recipe is two-sided.
   */
  tokenWeights(leader: string): Promise<Matrix | undefined>
  /** Fisher information of a module's weight, where the recipe asks for it. */
  fisher(module: string): Promise<Fisher | undefined>
}
