import { parentPort } from 'node:worker_threads'
import { ReallmError } from '@reallm/tensor-io'
import { type EncodeJob, runJob, type WorkerAnswer } from './pool.ts'
import { builtInRecipe } from './recipes.ts'

const port = parentPort!

port.on('message', async (job: EncodeJob) => {
  try {
    const result = await runJob(builtInRecipe(job.recipe), job)
    port.postMessage({ result } satisfies WorkerAnswer, [result.decoded.data.buffer as ArrayBuffer])
  } catch (error) {
    const { message, stack } = error as Error
    const known = error instanceof ReallmError
    const answer: WorkerAnswer = {
      error: {
        message,
        ...(stack && { stack }),
        ...(known && { code: error.code, ...(error.hint && { hint: error.hint }) }),
      },
    }
    port.postMessage(answer)
  }
})
