import type { Allocation } from '../allocate/allocate-bits.ts'
import type { Scratch } from '../calibrate/activations.ts'
import type { HiddenStates } from '../calibrate/hidden-states.ts'
import type { Importance } from '../calibrate/importance.ts'
import type { Sequences } from '../calibrate/sequences.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { Encoder } from '../encoder/encode-job.ts'
import type { SharedDecoders } from '../encoder/shared-decoders.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { MemoryPlan } from '../plan-memory.ts'
import type { Settings } from '../settings.ts'
import type { QuantisedMatrices } from './quantised-matrices.ts'

/** What quantising starts from. */
export interface QuantiseInput {
  readonly model: OpenedModel
  readonly allocation: Allocation
  readonly sequences: Sequences
  readonly importance: Importance | undefined
  readonly encoder: Encoder
  readonly decoders: SharedDecoders
  /** Holds the statistics of the original model, and what is trained. */
  readonly checkpoint: Checkpoint
  /** Activations beyond an eighth of the most go to disk. */
  readonly memory: Pick<MemoryPlan, 'most' | 'opensAhead' | 'threads'>
  readonly settings: Settings
}

/** What its steps share. */
export interface QuantiseContext extends QuantiseInput {
  /** Where activations are kept. */
  readonly scratch: Scratch
  /** What is stored already. */
  readonly matrices: QuantisedMatrices
}

/** The two forward passes that quantising walks along: the original's, and the one behind everything quantised. */
export interface Passes {
  readonly original: HiddenStates
  readonly quantised: HiddenStates
}
