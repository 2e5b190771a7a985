import { load } from '@reallm/runtime'

const model = await load('/models/tiny/')
console.log(`${model.weights} weights, ${model.bytes} bytes of memory, ${model.kernels}`)

const answer = model.generate('It was the best of times', { maxTokens: 24, temperature: 0.8, seed: 1 })
console.log(await answer.text())
console.log(answer.report.reason)
model.dispose()
