import { parentPort, workerData } from 'node:worker_threads'
import { createPool } from '@reallm/kernels'
import { builtInRecipe } from '../recipes/recipes.ts'
import { answerOf } from './answer.ts'
import type { EncodeJob } from './encode-job.ts'
import { runJob } from './run-job.ts'
import { sameStatistics } from './same-statistics.ts'

const port = parentPort!

/** The last band's job: what was prepared for its statistics is found by them, and serves the next one. */
let last: EncodeJob | undefined

port.on('message', async (given: EncodeJob) => {
  const job =
    given.isBand && last && sameStatistics(given, last) ? { ...given, ...statisticsOf(last) } : given
  last = job.isBand ? job : undefined
  // Embedding and head are so large, and alone so often, that each is worked on by as many threads as the pool has.
  const helpers = await createPool({ threads: job.module.layer === undefined ? workerData.threads : 1 })
  const answer = await answerOf(() => runJob(builtInRecipe(job.recipe), job))
  helpers.close()
  const decoded = 'results' in answer ? answer.results.map(r => r.decoded.data.buffer as ArrayBuffer) : []
  port.postMessage(answer, decoded)
})

const statisticsOf = ({ hessian, crossCovariance }: EncodeJob) => ({ hessian, crossCovariance })
