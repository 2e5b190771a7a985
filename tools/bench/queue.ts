/**
 * What more workers bring: measures what encoding matrices of the shapes of a 7B model's layer costs (at a quarter of its widths),
 * and what `compress` itself computes for such a layer (at an eighth), and lets a simulated queue give the jobs of the whole model,
 * in the order in which `compress` sends them, to 1, 2, 8, 64 and 512 workers of one thread. Both are taken to grow with the
 * weights. Transfers, measuring sensitivity, and `compress`'s own work for embedding and head are left out. Needs Linux.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/queue.ts [--record]
 */
import { correlatedHessian, normals } from '../../packages/testing/src/index.ts'
import { rotated, trellis, withFeedback } from '../../packages/vq/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import { type Farm, makespan, type Wave } from './queue/makespan.ts'
import { masterOf } from './queue/master-seconds.ts'

const codec = rotated(withFeedback(trellis))
const params = { inner: { bits: 3, stateBits: 10 } }
const [part, masterPart] = [4, 8]
const layers = 32
const [hidden, inner, vocabulary] = [4096, 11008, 32000]
/** Sequences that `compress` takes by default for Hessians. */
const sequences = 32

const seconds = { unit: 'h', digits: 2 }
const gain = { unit: '', digits: 1 }
const finish = startBench({
  name: 'queue',
  what: 'What more workers of one thread bring to the compression of a 7B model: a simulation from measured times, of `compress` on one thread with WebAssembly.',
  sources: [...compression, 'tools/bench/queue.ts', 'tools/bench/queue'],
  columns: {
    workers: { label: 'workers' },
    encoding: { label: 'encoding alone, hours', ...seconds },
    encodingGain: { label: 'times as fast', ...gain },
    independent: { label: '--no-sequential, hours', ...seconds },
    independentGain: { label: 'times as fast', ...gain },
    sequential: { label: 'sequential, hours', ...seconds },
    sequentialGain: { label: 'times as fast', ...gain },
    master: { label: 'of these `compress`’s own', ...seconds },
  },
  key: ['workers'],
  seed: 1,
})

/** Processor seconds for a matrix `[out, in]` of the model. */
async function secondsOf(out: number, width: number): Promise<number> {
  const [rows, cols] = [out / part, width / part]
  const w = normals(rows, cols, 1)
  const started = process.cpuUsage()
  await codec.encode(w, params, { seed: 1, hessian: correlatedHessian(cols, 2) })
  const { user, system } = process.cpuUsage(started)
  return ((user + system) / 1e6) * part ** 2
}

const [square, up, down] = [
  await secondsOf(hidden, hidden),
  await secondsOf(inner, hidden),
  await secondsOf(hidden, inner),
]
const outer = (square * vocabulary) / hidden

const shape = { hidden: hidden / masterPart, inner: inner / masterPart, sequences }
const own = {
  independent: await masterOf({ ...shape, sequential: false }),
  sequential: await masterOf({ ...shape, sequential: true }),
}

/** The jobs of the model, those of a projection group together, behind what `compress` computes for them. */
function wavesOf({ calibrate, quantise }: { calibrate: number; quantise: number }): Wave[] {
  const groups = [[square, square, square], [square], [up, up], [down]]
  const before = (quantise * masterPart ** 2) / groups.length
  const layer = groups.map(jobs => ({ before, jobs }))
  return [
    { before: calibrate * masterPart ** 2 * layers, jobs: [outer] },
    ...Array.from({ length: layers }, () => layer).flat(),
    { before: 0, jobs: [outer] },
  ]
}

const hours = (waves: readonly Wave[], farm: Farm) => makespan(waves, farm) / 3600
const runs = {
  encoding: { waves: wavesOf({ calibrate: 0, quantise: 0 }), ahead: 2, waits: false },
  independent: { waves: wavesOf(own.independent), ahead: 2, waits: false },
  sequential: { waves: wavesOf(own.sequential), ahead: 2, waits: true },
}

finish(
  [1, 2, 8, 64, 512].map(workers => {
    const figures: Record<string, number> = { workers }
    for (const [name, { waves, ...farm }] of Object.entries(runs)) {
      figures[name] = hours(waves, { ...farm, workers })
      figures[`${name}Gain`] = hours(waves, { ...farm, workers: 1 }) / figures[name]
    }
    const master = runs.sequential.waves.reduce((sum, { before }) => sum + before, 0) / 3600
    return { ...figures, master }
  }),
)
