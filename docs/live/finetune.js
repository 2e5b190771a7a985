import { finetuneArtifact } from '@reallm/finetune'
import { openWeights, useBackend } from '@reallm/transformer'

await useBackend('wasm', { wasmPath: '/tfjs/' })
const model = await openWeights('/models/tiny/')
const contents = 'The harbour was quiet, and the lamps along the quay were lit one by one. '.repeat(20)

const { before, after } = await finetuneArtifact({
  model,
  data: { name: 'harbour', contents }, // put a text of your own here
  steps: 6,
  rows: 2,
  length: 32,
  rank: 4,
  onProgress: ({ event, done, total }) => event === 'step-end' && console.log(`step ${done} of ${total}`),
})
console.log(`validation loss ${before.toFixed(2)} → ${after.toFixed(2)} nats per token`)
await model.close()
