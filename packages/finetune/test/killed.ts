/** Trains the toy model with a checkpoint in the file given; the test kills it on the way. */
import { useBackend } from '@reallm/transformer'
import { fileStore, train } from '../src/index.ts'
import { toyRun } from './toy.ts'

await useBackend('wasm')
await train({
  ...toyRun(),
  checkpoint: fileStore(process.argv[2]),
  checkpointEvery: 2,
  onProgress: ({ event, done }) => {
    if (event === 'step-end' && done === 7) process.kill(process.pid, 'SIGKILL')
  },
})
