import { kmeansLayout, readKmeans } from '@reallm/tensor-io/layouts/kmeans'
import { coded } from './coded-linear.ts'
import { runner } from './runner.ts'

export const kmeans = runner(kmeansLayout, (engine, e, options) => coded(engine, readKmeans(e), options))
