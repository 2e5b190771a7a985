import { normalfloatLayout, readNormalfloat } from '@reallm/tensor-io/layouts/normalfloat'
import { coded } from './coded-linear.ts'
import { runner } from './runner.ts'

export const normalfloat = runner(normalfloatLayout, (engine, e, options) =>
  coded(engine, readNormalfloat(e), options),
)
