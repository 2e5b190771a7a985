import { lowRankResidualLayout, lowrankLayout, readLowRankFactors } from '@reallm/tensor-io/layouts/lowrank'
import { lplrLayout, readLplr } from '@reallm/tensor-io/layouts/lplr'
import { readRom, romLayout } from '@reallm/tensor-io/layouts/rom'
import { lowRankLinear } from './low-rank-linear.ts'
import { runner, wrapperRunner } from './runner.ts'

export const lowrank = runner(lowrankLayout, (engine, e) =>
  lowRankLinear(engine, undefined, e.shape, readLowRankFactors(e)),
)
export const lplr = runner(lplrLayout, (engine, e) => lowRankLinear(engine, undefined, e.shape, readLplr(e)))
export const rom = runner(romLayout, (engine, e) => lowRankLinear(engine, undefined, e.shape, readRom(e)))
export const lowRankResidual = wrapperRunner(lowRankResidualLayout, (engine, e, inner) =>
  e.params.rank === 0 ? inner : lowRankLinear(engine, inner, e.shape, readLowRankFactors(e)),
)
