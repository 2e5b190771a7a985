/**
 * `compress` with and without `--no-sequential`: how far each result's predictions are from the original's, and how long
 * quantising takes on one worker and on two. Sensitivities are measured before. Other work on the machine makes the time by the
 * clock longer: processor time and the load are given beside it.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/sequential.ts [--model npm:@reallm/tiny] [--bits 3,2] [--effort normal]
 *     [--threads 1,2] [--backend wasm] [--record]
 *
 * `npm run build` first: workers run what is built.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { CompressReport } from '../../packages/pipeline/src/index.ts'
import { compression, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'npm:@reallm/tiny' },
    bits: { type: 'string', default: '3,2' },
    effort: { type: 'string', default: 'normal' },
    threads: { type: 'string', default: '1,2' },
    backend: { type: 'string', default: 'wasm' },
  },
})

const finish = startBench({
  name: 'sequential',
  what: `Each matrix rounded behind everything that is quantised already (in sequence), or all on the original model (--no-sequential).`,
  sources: [...compression, 'tools/bench/sequential.ts'],
  columns: {
    model: { label: 'model' },
    bits: { label: 'bits', unit: '', digits: 1 },
    order: { label: 'matrices' },
    workers: { label: 'workers', unit: '', digits: 0 },
    kl: { label: 'KL, nats/token', unit: '', digits: 4 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    cpu: { label: 'processor seconds to quantise', unit: 's', digits: 1 },
    wall: { label: 'by the clock', unit: 's', digits: 1 },
    load: { label: 'load of the machine meanwhile', unit: 'processes', digits: 0 },
  },
  key: ['model', 'bits', 'order', 'workers'],
  seed: 0,
})

const folder = mkdtempSync(join(tmpdir(), 'reallm-sequential-'))
const env = { ...process.env, REALLM_CACHE: join(folder, 'cache') }
const cli = resolve('packages/reallm/bin/reallm.js')
const run = <T>(bits: string, ...more: string[]): T => {
  const given = ['--effort', values.effort, '--backend', values.backend, '--json', '--quiet']
  // What was published with other threads is the same, and would not be made again.
  rmSync(join(folder, 'out'), { recursive: true, force: true })
  const args = [cli, 'compress', values.model, '-o', join(folder, 'out'), '-b', bits, ...given, ...more]
  return JSON.parse(execFileSync(process.execPath, args, { env, maxBuffer: 2 ** 28 }).toString()) as T
}

try {
  for (const bits of values.bits.split(',')) {
    run(bits, '--dry-run')
    for (const order of ['in sequence', 'independent']) {
      for (const threads of values.threads.split(',')) {
        const more = order === 'independent' ? ['--no-sequential'] : []
        const { quality, stages } = run<CompressReport>(bits, '--threads', threads, ...more)
        const { kl, perplexity } = quality!.compressed
        const { cpuSeconds: cpu, seconds: wall } = stages.quantise
        finish([
          {
            ...{ model: values.model, bits: Number(bits), order, workers: Number(threads) },
            ...{ kl, perplexity, cpu, wall, load: loadavg()[0] },
          },
        ])
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
