/**
 * Trains the embedded model, or another of settings.ts; killed at any moment it goes on where it was. Start it again to resume.
 *
 *     npx tsx --conditions=@reallm/source tools/tiny/train.ts out/tiny [tiny|wide] [steps to stop after, for timing]
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collate, fileStore, meanLoss, sequencesOf, shuffled, summedLoss, train } from '@reallm/finetune'
import { allTensors, parseConfig, tf, useBackend } from '@reallm/transformer'
import { grownWeights } from './grow.ts'
import { initialWeights } from './initial.ts'
import { settingsOf } from './settings.ts'

const [work = 'out/tiny', name = 'tiny', stopAfter = ''] = process.argv.slice(2)
const { config, run } = settingsOf(name)
const log = join(work, 'training-log.jsonl')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(signal))

const backend = await useBackend()
const shape = await parseConfig(config)
const initial = initialWeights(allTensors(shape), shape.layers, run.seed)
const start = name === 'wide' ? await grownWeights(initial, 'packages/tiny/model') : initial
const parameters = new Map(Object.entries(start).map(([name, t]) => [name, tf.variable(t)]))
const weights = Object.fromEntries(parameters)
const heldOut = sequencesOf(tokens('heldOut'), run.length)
const validation = batchesOf(heldOut.slice(0, 64), 16)
let lossSum = 0
let steps = 0
let previous = performance.now()

await train({
  ...run,
  parameters,
  batches: shuffled(sequencesOf(tokens('train'), run.length), { rows: run.rows, seed: run.seed }),
  loss: batch => summedLoss(shape, weights, batch),
  validate: () => meanLoss(validation, batch => summedLoss(shape, weights, batch)),
  validateEvery: 200,
  checkpoint: fileStore(join(work, 'checkpoint.safetensors')),
  checkpointEvery: 100,
  fingerprint: { seed: run.seed, config, backend: backend.name },
  signal: stop.signal,
  onProgress({ event, done, error, eta }) {
    if (event === 'validation-end')
      record({ step: done, validationLoss: round(error!), perplexity: round(Math.exp(error!)) })
    if (event !== 'step-end') return
    if (steps === 0) forgetAfter(done - 1)
    steps++
    lossSum += error!
    if (steps % 20 === 0) {
      const now = performance.now()
      const rate = (20 * run.rows * run.length * 1000) / (now - previous)
      record({
        step: done,
        loss: round(lossSum / 20),
        tokensPerSecond: Math.round(rate),
        minutesLeft: round(eta! / 60),
      })
      lossSum = 0
      previous = now
    }
    if (stopAfter && done >= Number(stopAfter) && done < run.steps) stop.abort('enough')
  },
}).catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})

function batchesOf(sequences: ReturnType<typeof sequencesOf>, rows: number) {
  const count = Math.floor(sequences.length / rows)
  return Array.from({ length: count }, (_, b) =>
    collate(
      sequences,
      Array.from({ length: rows }, (_, i) => b * rows + i),
    ),
  )
}

function tokens(name: string): Uint16Array {
  const bytes = readFileSync(join(work, `${name}.ids`))
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
}

function record(entry: Record<string, number>): void {
  const line = JSON.stringify(entry)
  console.log(line)
  appendFileSync(log, `${line}\n`)
}

/** Drops the log of steps that a killed run did after its last checkpoint. */
function forgetAfter(step: number): void {
  if (!existsSync(log)) return
  const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean)
  const kept = lines.filter(line => (JSON.parse(line) as { step: number }).step <= step)
  writeFileSync(log, kept.map(line => `${line}\n`).join(''))
}

function round(x: number): number {
  return Math.round(x * 1e4) / 1e4
}
