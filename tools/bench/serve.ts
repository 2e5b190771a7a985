// Requests per second, latency and memory of `reallm serve` under many clients: each answer is compared with what the same
// request gives when nobody else asks.
//
//   npx tsx --conditions=@reallm/source tools/bench/serve.ts [--model npm:@reallm/tiny] [--clients 1,8,200] [--seconds 60]
//     [--parallel 8] [--threads 1] [--record]
//
// The server is a process of its own; clients ask one request after the other, chats, completions and JSON of a schema, half
// of them streamed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ask, askAlone } from '../../packages/serve/test/clients.ts'
import { packages, startBench } from '../results/record.ts'
import { root } from '../results/schema.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'npm:@reallm/tiny' },
    clients: { type: 'string', default: '1,8,200' },
    seconds: { type: 'string', default: '60' },
    parallel: { type: 'string', default: '8' },
    threads: { type: 'string', default: '1' },
  },
})
const seconds = { unit: 'seconds', precision: 2 }
const bytes = { unit: 'bytes', scale: 1e-6, digits: 0 }
const finish = startBench({
  name: 'serve',
  what: `\`reallm serve\` with a model of 3 million parameters: answers of 4 to 31 tokens, ${values.parallel} texts at a time, clients on the same machine.`,
  sources: packages('serve', 'runtime'),
  columns: {
    clients: { label: 'clients' },
    answers: { label: 'answers', unit: 'answers' },
    wrong: { label: 'wrong', unit: 'answers' },
    refused: { label: 'refused', unit: 'answers' },
    rate: { label: 'answers per s', unit: 'answers per second', precision: 3 },
    tokens: { label: 'tokens per s', unit: 'tokens per second', precision: 3 },
    median: { label: 'median, s', ...seconds },
    p95: { label: '95th percentile, s', ...seconds },
    memoryBefore: { label: 'memory at first, MB', ...bytes },
    memoryAfter: { label: 'memory at the end, MB', ...bytes },
  },
  key: ['clients'],
  seed: 0,
})

const server = spawn(
  process.execPath,
  [
    ...process.execArgv,
    join(root, 'packages/reallm/src/cli.ts'),
    ...['serve', values.model, '--port', '0', '--queue', '1000'],
    ...['--parallel', values.parallel, '--threads', values.threads],
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
)
const url = await new Promise<string>((resolve, reject) => {
  let text = ''
  server.stderr.on('data', chunk => {
    text += chunk
    const found = /(http:\S+)\/v1\n/.exec(text)?.[1]
    if (found) resolve(found)
  })
  server.on('exit', () => reject(new Error(text)))
})

/** A figure of `/metrics`. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

const [memory, written] = ['process_resident_memory_bytes', 'reallm_generated_tokens_total']

/** Says whether so many seconds have not passed yet. */
function during(seconds: number): () => boolean {
  const start = performance.now()
  return () => performance.now() - start < 1000 * seconds
}

const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(q * (sorted.length - 1))]

const asked = await askAlone(url, 48)
const rows = []
for (const clients of values.clients.split(',').map(Number)) {
  console.error(`${clients} clients, ${values.seconds} s …`)
  const first = await ask(url, asked, clients, during(Number(values.seconds) / 5)) // memory settles
  const [memoryBefore, tokensBefore] = [await metric(memory), await metric(written)]
  const from = performance.now()
  const seen = await ask(url, asked, clients, during(Number(values.seconds)))
  const took = (performance.now() - from) / 1000
  const sorted = seen.seconds.sort((a, b) => a - b)
  for (const wrong of [...first.wrong, ...seen.wrong].slice(0, 3)) console.error(`wrong: ${wrong}`)
  rows.push({
    clients: String(clients),
    answers: first.seconds.length + sorted.length,
    wrong: first.wrong.length + seen.wrong.length,
    refused: first.refused + seen.refused,
    rate: sorted.length / took,
    tokens: ((await metric(written)) - tokensBefore) / took,
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    memoryBefore,
    memoryAfter: await metric(memory),
  })
}
server.kill('SIGINT')
await once(server, 'exit')
finish(rows)
