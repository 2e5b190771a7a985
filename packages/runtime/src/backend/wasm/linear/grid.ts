import { gridLayout, readGrid } from '@reallm/tensor-io/layouts/grid'
import { coded } from './coded-linear.ts'
import { runner } from './runner.ts'

export const grid = runner(gridLayout, (engine, e, options) => coded(engine, readGrid(e), options))
