import { parentPort } from 'node:worker_threads'
import { answerOf } from './answer.ts'
import { type EncodeJob, runJob } from './pool.ts'
import { builtInRecipe } from './recipes.ts'

const port = parentPort!

port.on('message', async (job: EncodeJob) => {
  const answer = await answerOf(() => runJob(builtInRecipe(job.recipe), job))
  const decoded = 'results' in answer ? answer.results.map(r => r.decoded.data.buffer as ArrayBuffer) : []
  port.postMessage(answer, decoded)
})
