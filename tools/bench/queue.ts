/**
 * What more workers bring: encodes matrices of the shapes of a 7B model's layer at a quarter of its widths, and lets a simulated
 * queue give the jobs of the whole model, in the order in which `compress` sends them, to 1, 2, 8, 64 and 512 workers of one
 * thread. A job's time is taken to grow with its weights. Calibration, which one machine does, and transfers are left out.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/queue.ts [--record]
 */
import { correlatedHessian, normals } from '../../packages/testing/src/index.ts'
import { rotated, trellis, withFeedback } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import { makespan, type Wave } from './queue/makespan.ts'

const codec = rotated(withFeedback(trellis))
const params = { inner: { bits: 3, stateBits: 10 } }
const part = 4
const layers = 32
const [hidden, inner, vocabulary] = [4096, 11008, 32000]

const finish = startBench({
  name: 'queue',
  what: 'What more workers of one thread bring to the encoding of a 7B model: a simulation from measured job times.',
  sources: [...packages('tensor-io', 'kernels', 'vq'), 'tools/bench/queue.ts', 'tools/bench/queue'],
  columns: {
    workers: { label: 'workers' },
    independent: { label: '--no-sequential, hours', unit: 'h', digits: 2 },
    independentGain: { label: 'times as fast', unit: '', digits: 1 },
    sequential: { label: 'sequential, hours', unit: 'h', digits: 2 },
    sequentialGain: { label: 'times as fast', unit: '', digits: 1 },
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

/** Jobs that are sent together; the next ones wait for them. */
const sublayers: Wave[] = [[square, square, square], [square], [up, up], [down]]
const sequential: Wave[] = [[outer], ...Array.from({ length: layers }, () => sublayers).flat(), [outer]]
const independent: Wave[] = [sequential.flat()]
const hours = (waves: readonly Wave[], workers: number) => makespan(waves, workers) / 3600

finish(
  [1, 2, 8, 64, 512].map(workers => ({
    workers,
    independent: hours(independent, workers),
    independentGain: hours(independent, 1) / hours(independent, workers),
    sequential: hours(sequential, workers),
    sequentialGain: hours(sequential, 1) / hours(sequential, workers),
  })),
)
