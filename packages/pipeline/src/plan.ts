import type { ModelFiles } from '@reallm/tensor-io'
import { frontierOf, planBudget } from './allocate/allocate-bits.ts'
import type { FrontierPoint } from './output/report.ts'
import { svgPlot } from './output/svg-plot.ts'
import { isSurveyed } from './recipes/recipe.ts'
import { type Session, type SessionOptions, withSession } from './session.ts'
import { type BudgetOptions, budgetOf } from './settings.ts'

interface PlanOf {
  readonly model: string
  readonly recipe: string
  readonly originalBytes: number
  readonly parameters: number
  /** What damages are counted in. */
  readonly unit: string
}

/** What `compress` would do, without doing it. */
export interface CompressPlan extends PlanOf {
  /** Upper bound of the sum of the weight files. */
  readonly bytes: number
  readonly bitsPerWeight: number
  /** Predicted damage of the whole model. */
  readonly damage: number
  readonly matrices: readonly { readonly name: string; readonly codec: string; readonly bytes: number }[]
}

/** All sizes that a recipe can make of a model, and what each is predicted to cost. */
export interface FrontierPlan extends PlanOf {
  readonly frontier: readonly FrontierPoint[]
}

/**
 * Plans a compression: reads the weights, measures the candidates (of calibrated recipes), encodes and writes
 * nothing. Measurements are kept, so that planning for another size does not repeat them.
 *
 * @throws `bad-option` when the budget cannot be reached
 * @example
 * const { bytes, matrices } = await planCompression('npm:@reallm/tiny', { bits: 2.5 })
 */
export function planCompression(
  model: string | ModelFiles,
  options: SessionOptions & BudgetOptions,
): Promise<CompressPlan> {
  const budget = budgetOf(options)
  const plan = async (session: Session) => {
    const table = await session.measured()
    const { bytes, bitsPerWeight, damage, matrices } = planBudget(table, budget)
    return {
      ...describe(session),
      ...{ bytes, bitsPerWeight, damage },
      matrices: matrices.map(({ module, label, bytes }) => ({ name: module.name, codec: label, bytes })),
    }
  }
  return withSession(model, options, plan, table => void planBudget(table, budget))
}

/**
 * The frontier of a model: size against predicted damage.
 *
 * @example
 * const { frontier, unit } = await planFrontier('npm:@reallm/tiny')
 */
export const planFrontier = (
  model: string | ModelFiles,
  options: SessionOptions = {},
): Promise<FrontierPlan> =>
  withSession(model, options, async session => ({
    ...describe(session),
    frontier: frontierOf(await session.measured()),
  }))

/** What damages of a recipe and effort are counted in. */
export const damageUnit = ({ recipe }: Pick<Session, 'recipe'>): string =>
  isSurveyed(recipe) ? 'predicted KL divergence, nats per token' : 'predicted damage, no unit'

function describe(session: Session): PlanOf {
  const { model, recipe, parts } = session
  return {
    model: model.files.spec,
    recipe: recipe.name,
    originalBytes: model.files.bytes,
    parameters: parts.parameters,
    unit: damageUnit(session),
  }
}

/** A frontier as an SVG plot. */
export const frontierSvg = (frontier: readonly FrontierPoint[]): string =>
  svgPlot(
    [
      {
        name: 'can be had',
        line: true,
        points: frontier.map(p => ({
          x: p.bytes / 1e6,
          y: p.damage,
          title: `${p.bitsPerWeight.toFixed(2)} bits per weight`,
        })),
      },
    ],
    { title: 'Size against predicted damage', x: 'MB', y: 'predicted damage', log: true },
  )
