import { readRowScales, rowScaledLayout } from '@reallm/tensor-io/layouts/row-scaled'
import { readScaling, scalingLayout } from '@reallm/tensor-io/layouts/scaling'
import { wrapperRunner } from './runner.ts'
import { scaledLinear } from './scaled-linear.ts'

export const rowScaled = wrapperRunner(rowScaledLayout, (engine, e, inner) =>
  scaledLinear(engine, inner, { rows: engine.upload(readRowScales(e)) }),
)

export const scaling = wrapperRunner(scalingLayout, (engine, e, inner) => {
  const [rows, cols] = readScaling(e).map(scales => scales && engine.upload(scales))
  return scaledLinear(engine, inner, { rows, cols })
})
