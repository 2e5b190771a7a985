// Fine-tunes a model's low-rank part on a text of your own: node index.js [model] [text] [steps]
import { finetune, load } from 'reallm'

const [model = 'npm:@reallm/tiny', data = 'recipes.txt', steps = '40'] = process.argv.slice(2)
const prompt = 'Take a pound of'

const { adapter, before, after } = await finetune(model, {
  data,
  steps: Number(steps),
  learningRate: 3e-3,
  onProgress: ({ event, done, total }) => {
    if (event === 'step-end') process.stderr.write(`\rstep ${done} of ${total}`)
  },
})
console.log(`\nvalidation loss ${before.toFixed(3)} → ${after.toFixed(3)} nats per token`)
await adapter.save('my-adapter') // PEFT's layout

for (const options of [{}, { adapter: 'my-adapter' }]) {
  const talker = await load(model, options)
  process.stdout.write(`\n${options.adapter ? 'tuned' : 'before'}: ${prompt}`)
  for await (const text of talker.generate(prompt, { maxTokens: 32 })) process.stdout.write(text)
  talker.dispose()
}
process.stdout.write('\n')
