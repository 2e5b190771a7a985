import { fileStore, type Matrix } from '@reallm/tensor-io'
import { availableParallelism, join, threadPool } from '#platform'
import {
  choicesFor,
  type Effort,
  type MatrixModule,
  type Recipe,
  type SharedTensors,
} from '../recipes/recipe.ts'
import { type EncodeResult, encodeMatrix, type Moments } from './encode-matrix.ts'

/** One way to encode a job's matrix. */
interface EncodeTry {
  /** Index into the recipe's choices for this matrix. */
  readonly choice: number
  /** Index into the choice's trials: one of them in its place. */
  readonly trial?: number
  /** What was fitted to the matrix's group, where the choice shares anything. */
  readonly shared?: SharedTensors
}

/** One matrix to encode, in one or several ways: one job. Plain data, so that it can go to another thread. */
export interface EncodeJob extends Moments {
  readonly recipe: string
  readonly module: MatrixModule
  readonly effort: Effort
  readonly tries: readonly EncodeTry[]
  readonly w: Matrix
  readonly seed: number
  /** Also measure what feedback rounding gains. */
  readonly compare?: boolean
  /** Directory for the state of codecs that train. */
  readonly checkpoints?: string
}

/** Encodes matrices, several at a time; a job's results, one for each of its tries, do not depend on how many. */
export interface EncodePool {
  readonly threads: number
  encode(job: EncodeJob): Promise<EncodeResult[]>
  close(): Promise<void>
}

export interface PoolOptions {
  /** Worker threads; 0 encodes in this thread. Default: one per core. */
  readonly threads?: number
  readonly signal?: AbortSignal
}

/**
 * A pool of worker threads for a built-in recipe. In this thread when `threads` is 0, when the recipe is the caller's
 * own (its functions cannot be sent), or when running from TypeScript sources.
 */
export function encodePool(recipe: Recipe, isBuiltIn: boolean, options: PoolOptions = {}): EncodePool {
  const threads = options.threads ?? availableParallelism()
  const canThread = isBuiltIn && threads > 0 && import.meta.url.endsWith('.js')
  return canThread && threadPool ? threadPool(threads, options.signal) : inThisThread(recipe, options.signal)
}

function inThisThread(recipe: Recipe, signal: AbortSignal | undefined): EncodePool {
  return {
    threads: 1,
    encode: job => runJob(recipe, job, signal),
    close: async () => {},
  }
}

/** Encodes one job; used by worker threads and by the pool without threads. */
export async function runJob(recipe: Recipe, job: EncodeJob, signal?: AbortSignal): Promise<EncodeResult[]> {
  const choices = choicesFor(recipe, job.module, job.effort)
  const results: EncodeResult[] = []
  const { checkpoints } = job
  for (const { choice, trial, shared } of job.tries) {
    const tried = trial === undefined ? choices[choice] : choices[choice].trials![trial]
    const result = await encodeMatrix(
      job.module.name,
      job.w,
      shared ? tried.shared!.with(shared) : tried,
      job,
      {
        seed: job.seed,
        // networks know no feedback
        compare: job.compare === true && choices[choice].trials === undefined,
        ...(signal && { signal }),
        ...(checkpoints && {
          checkpoint: (name: string) => fileStore(join(checkpoints, `${name}.safetensors`)),
        }),
      },
    )
    results.push(result)
  }
  return results
}
