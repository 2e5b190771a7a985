// The embedded model as `npm start` compresses and measures it, in processes of their own on the built packages:
//   npx tsx --conditions=@reallm/source tools/bench/start.ts [--record]
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { compression, startBench } from '../results/record.ts'

const finish = startBench({
  name: 'start',
  what: 'The embedded model as `npm start` compresses and measures it.',
  sources: compression,
  columns: {
    name: { label: '' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    bitsPerWeight: { label: 'bits per weight', unit: 'bits', digits: 2 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    seconds: { label: 'seconds', unit: 's', digits: 1 },
    peakMemory: { label: 'peak, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['name'],
  seed: 0,
})
const script = join(import.meta.dirname, '..', 'start.mjs')
const stdout = execFileSync(process.execPath, [script, '--json'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
finish(JSON.parse(stdout))
