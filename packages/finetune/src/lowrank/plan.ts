import { ReallmError } from '@reallm/tensor-io'
import { type LinearModule, linearModules, type TransformerConfig } from '@reallm/transformer'

/** What of a frozen model gets trained beside it. */
export interface LowRankPlan {
  /** Columns of L₁ and rows of L₂, for all linear layers or for each by its name; 0 trains none, and leaves a layer alone unless `rowScales` is `all`. Default 8. */
  readonly rank?: number | ((module: string) => number) | undefined
  /** LoRA's α: the product is scaled by α / rank. Default: rank, so by 1. */
  readonly alpha?: number | undefined
  /** Scale by α / √rank (rsLoRA, arXiv 2312.03732). */
  readonly rsLora?: boolean | undefined
  /** Train each row's magnitude apart from its direction (DoRA, arXiv 2402.09353). */
  readonly dora?: boolean | undefined
  /** Train a factor on each row of the whole matrix; `all`: of matrices without a low-rank part too. */
  readonly rowScales?: boolean | 'all' | undefined
  /** Train the norms' weights. */
  readonly norms?: boolean | undefined
}

/** One linear layer that is trained. */
export interface PlannedModule extends LinearModule {
  readonly block: number
  readonly rank: number
  readonly scaling: number
}

/** The layers that a plan trains, with their ranks; throws `bad-option` on a rank that does not fit. */
export function plannedModules(config: TransformerConfig, plan: LowRankPlan): PlannedModule[] {
  const { rank: wanted = 8, rsLora = false } = plan
  const modules: PlannedModule[] = []
  for (let block = 0; block < config.layers; block++) {
    for (const module of linearModules(config, block)) {
      const rank = typeof wanted === 'number' ? wanted : wanted(module.name)
      const most = Math.min(...module.shape)
      if (!Number.isInteger(rank) || rank < 0 || rank > most) {
        throw new ReallmError(
          'bad-option',
          `${module.name} [${module.shape.join('×')}]: rank ${rank} is impossible`,
          {
            hint: `use 0 to ${most}`,
          },
        )
      }
      if (rank === 0 && plan.rowScales !== 'all') continue
      modules.push({
        ...module,
        block,
        rank,
        scaling: rank === 0 ? 1 : (plan.alpha ?? rank) / (rsLora ? Math.sqrt(rank) : rank),
      })
    }
  }
  if (plan.dora && plan.rowScales) {
    throw new ReallmError('bad-option', 'DoRA magnitudes and row scales are the same factor', {
      hint: 'choose one',
    })
  }
  return modules
}

/** The plan out of wider options, as JSON can hold it: a rank that is a function becomes its values. */
export function describePlan(config: TransformerConfig, plan: LowRankPlan): Record<string, unknown> {
  const { rank = 8, alpha, rsLora, dora, rowScales, norms } = plan
  const ranks = typeof rank === 'number' ? rank : plannedModules(config, plan).map(m => [m.name, m.rank])
  const given = { rank: ranks, alpha, rsLora, dora, rowScales, norms }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
