import type { ModelFiles } from '@reallm/tensor-io'
import { allocateBits, frontierOf } from './allocate/allocate-bits.ts'
import { type Budget, type BudgetOptions, budgetOf } from './allocate/budget.ts'
import { temporaryCheckpoint } from './checkpoint/checkpoint.ts'
import type { Duration } from './output/clock.ts'
import type { FrontierPoint } from './output/report.ts'
import { predictedUnit } from './output/report-of.ts'
import { type Own, scoped } from './scoped.ts'
import { measure } from './sensitivity/measure.ts'
import { compressStages, inStages } from './stages.ts'
import { type Start, type StartOptions, start } from './start.ts'
import { planTime } from './time/plan-time.ts'

interface PlanOf {
  readonly model: string
  readonly recipe: string
  readonly originalBytes: number
  readonly parameters: number
  /** Bytes that compressing is expected to take at its peak. */
  readonly memory: number
  /** What `predicted` is counted in. */
  readonly unit: string
}

/** What `compress` would do, without doing it. */
export interface CompressPlan extends PlanOf {
  /** Upper bound of the sum of the weight files. */
  readonly bytes: number
  readonly bitsPerWeight: number
  /** Predicted loss of the whole model. */
  readonly predicted: number
  readonly matrices: readonly { readonly name: string; readonly codec: string; readonly bytes: number }[]
  /** How long it takes to quantise, now that all is measured; unknown where recipes train or other machines encode. */
  readonly time?: Duration | undefined
}

/** All sizes that a recipe can make of a model, and what each is predicted to lose. */
export interface FrontierPlan extends PlanOf {
  readonly frontier: readonly FrontierPoint[]
}

/**
 * Plans a compression as `compress` does, and stores nothing. Measurements are kept, so that neither planning for another
 * size nor compressing repeats them.
 *
 * @throws `bad-option` when the budget cannot be reached
 * @example
 * const { bytes, matrices } = await planCompression('npm:@reallm/tiny', { bits: 2.5 })
 */
export const planCompression = (
  source: string | ModelFiles,
  options: StartOptions & BudgetOptions,
): Promise<CompressPlan> =>
  scoped(async own => {
    const budget = budgetOf(options)
    const { started, sensitivity, checkpoint } = await measured(own, source, options, budget)
    const allocation = allocateBits(started.table, sensitivity, budget)
    const { matrices, ...totals } = allocation
    return {
      ...describe(started),
      ...totals,
      time: await planTime(started, allocation, checkpoint),
      matrices: matrices.map(({ module, configuration, bytes }) => ({
        name: module.name,
        codec: configuration.label,
        bytes,
      })),
    }
  })

/**
 * The frontier of a model: size against predicted loss.
 *
 * @example
 * const { frontier, unit } = await planFrontier('npm:@reallm/tiny')
 */
export const planFrontier = (
  source: string | ModelFiles,
  options: StartOptions = {},
): Promise<FrontierPlan> =>
  scoped(async own => {
    const { started, sensitivity } = await measured(own, source, options)
    return { ...describe(started), frontier: frontierOf(started.table, sensitivity) }
  })

/** Everything up to the allocation. */
async function measured(own: Own, source: string | ModelFiles, options: StartOptions, budget?: Budget) {
  const { open, measure: measuring } = compressStages(false)
  const stages = inStages({ open, measure: measuring }, options)
  const started = await start(own, source, { ...options, ...stages.work('open') }, budget)
  const checkpoint = own(await temporaryCheckpoint())
  const settings = { ...started.settings, ...stages.work('measure') }
  return { started, checkpoint, sensitivity: await measure({ ...started, settings, checkpoint }) }
}

const describe = ({ model, settings, importance, memory }: Start): PlanOf => ({
  model: model.spec,
  recipe: settings.recipe.name,
  originalBytes: model.weights.files.bytes,
  parameters: model.parts.parameters,
  memory: memory.expected,
  unit: predictedUnit({ settings, importance }),
})
