/** One row of the comparison, in a process of its own so that its time and memory are its own. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { perplexity } from '../../../packages/eval/src/index.ts'
import { builtInRegistry, compress, type Effort, type Scope } from '../../../packages/pipeline/src/index.ts'
import { ReallmError, sizeOf, textOf } from '../../../packages/tensor-io/src/index.ts'
import {
  type BackendName,
  openWeights,
  streamed,
  useBackend,
} from '../../../packages/transformer/src/index.ts'

/** What is measured: with the same task a row is not measured again. */
export interface RowTask {
  readonly model: string
  /** A recipe's name, or `original`. */
  readonly recipe: string
  /** Asked for, over the weights that `scope` counts. */
  readonly bits: number
  readonly scope: Scope
  readonly effort: Effort
  readonly seed: number
  readonly text: string
  /** Tokens of a window, the second half of which is scored. */
  readonly ctx: number
  readonly windows: number
  /** Text to calibrate on; the built-in one where absent. */
  readonly calibration?: string
  readonly backend?: BackendName
}

export interface Row extends RowTask {
  readonly date: string
  /** Why there is no result: the recipe cannot reach the size. */
  readonly refused?: string
  /** Sum of the weight files. */
  readonly bytes?: number
  readonly bitsPerWeight?: number
  readonly perplexity?: number
  /** Mean KL divergence from the original, nats per token. */
  readonly kl?: number
  readonly top1?: number
  /** Processor time of `compress` without evaluation; absent, as the memory, for a row that was stopped in between. */
  readonly cpuSeconds?: number
  /** Largest resident set until `compress` was done, in bytes. */
  readonly peakMemory?: number
  /** Number of matrices with each configuration. */
  readonly configurations?: Readonly<Record<string, number>>
}

const { task, to } = JSON.parse(process.argv[2]) as { task: RowTask; to: string }
console.log(JSON.stringify({ ...task, date: new Date().toISOString(), ...(await measure()) } satisfies Row))

async function measure(): Promise<Partial<Row>> {
  const { model, recipe, bits, scope, effort, seed, calibration, backend } = task
  if (recipe === 'original') {
    const { bytes, bitsPerWeight, ...quality } = await evaluate(model)
    return { bytes, bitsPerWeight, ...quality }
  }
  const started = process.cpuUsage()
  try {
    const resume = existsSync(`${to}.work`)
    const how = { evaluate: false, threads: 0, resume, force: true }
    const options = { to, recipe, bits, scope, effort, seed, ...how }
    const { size, matrices, peakMemory } = await compress(model, {
      ...options,
      ...(calibration && { calibration }),
      ...(backend && { backend }),
    })
    const { user, system } = process.cpuUsage(started)
    const configurations: Record<string, number> = {}
    for (const { codec } of matrices) configurations[codec] = (configurations[codec] ?? 0) + 1
    const { kl, top1, perplexity } = await evaluate(to)
    return {
      ...{ bytes: size.bytes, bitsPerWeight: size.bitsPerWeight, perplexity, kl, top1 },
      ...(!resume && { cpuSeconds: (user + system) / 1e6, peakMemory }),
      configurations,
    }
  } catch (error) {
    if (error instanceof ReallmError && /cannot be reached/.test(error.message)) {
      return { refused: error.message }
    }
    throw error
  }
}

async function evaluate(spec: string) {
  const { model, text, windows, backend } = task
  await useBackend(backend)
  const original = await openWeights(model)
  const other = spec === model ? original : await openWeights(spec, { registry: builtInRegistry() })
  const tokens = (await original.tokenizer()).encode(textOf(text, await readFile(text)))
  const ctx = Math.min(task.ctx, original.config.maxPositions)
  const against = other === original ? {} : { against: streamed(original) }
  const result = await perplexity(streamed(other), tokens, { ctx, windows, ...against })
  const parameters = [...original.shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0)
  await original.close()
  if (other !== original) await other.close()
  return {
    bytes: original.files.bytes,
    bitsPerWeight: (8 * original.files.bytes) / parameters,
    perplexity: result.perplexity,
    kl: result.kl ?? 0,
    top1: result.top1 ?? 1,
  }
}
