// Compresses a model, looks at the report, and lets the result talk: node index.js [model] [bits]
import { compress, load } from 'reallm'

const [model = 'npm:@reallm/tiny', bits = '3'] = process.argv.slice(2)

const report = await compress(model, {
  to: 'out',
  bits: Number(bits),
  effort: 'fast',
  force: true,
  onProgress: ({ event, done, total }) => {
    if (event === 'matrix-end') process.stderr.write(`\r${Math.round((100 * done) / total)} % of the weights`)
  },
})
const { size, quality } = report
console.log(`\n${size.originalBytes} → ${size.bytes} bytes, ${size.bitsPerWeight.toFixed(2)} bits per weight`)
if (quality) {
  const { original, compressed } = quality
  console.log(`perplexity ${original.perplexity.toFixed(2)} → ${compressed.perplexity.toFixed(2)}`)
}
console.table(report.matrices.slice(0, 8).map(({ name, codec, bits }) => ({ name, codec, bits })))

const talker = await load('out')
process.stdout.write('The whale')
for await (const text of talker.generate('The whale', { maxTokens: 24 })) process.stdout.write(text)
process.stdout.write('\n')
talker.dispose()
