import { availableParallelism } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { createPool } from '@reallm/kernels'
import { answerOf } from './answer.ts'
import { type EncodeJob, runJob } from './pool.ts'
import { builtInRecipe } from './recipes.ts'

const port = parentPort!

port.on('message', async (job: EncodeJob) => {
  // Embedding and head are encoded while nothing else is.
  const threads = job.module.block === undefined ? availableParallelism() : 1
  const helpers = await createPool({ threads })
  const answer = await answerOf(() => runJob(builtInRecipe(job.recipe), job))
  helpers.close()
  const decoded = 'results' in answer ? answer.results.map(r => r.decoded.data.buffer as ArrayBuffer) : []
  port.postMessage(answer, decoded)
})
