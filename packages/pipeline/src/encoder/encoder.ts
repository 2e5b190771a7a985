import { type LongWork, ReallmError } from '@reallm/tensor-io'
import { availableParallelism } from '#platform'
import { queueModule, threads as threadsOf } from '#workers'
import type { Recipe } from '../recipes/recipe.ts'
import { recipes } from '../recipes/recipes.ts'
import type { Encoder } from './encode-job.ts'
import { runJob } from './run-job.ts'

export interface EncoderOptions extends Pick<LongWork, 'signal' | 'onProgress'> {
  /** Worker threads; default one per core, 0 for none. */
  readonly threads?: number | undefined
  /** Matrices go to machines that run `serveQueue` on this Redis, through a directory that all of them see. */
  readonly queue?: { readonly url: string; readonly shared: string } | undefined
}

/**
 * An encoder for a recipe: other machines where a queue is given, else worker threads; this thread when `threads` is 0,
 * in pages, and for recipes that are not built in, whose functions cannot be sent.
 *
 * @throws `unsupported` for a queue that the recipe cannot use
 */
export async function openEncoder(recipe: Recipe, options: EncoderOptions): Promise<Encoder> {
  const { signal, queue, threads = availableParallelism() } = options
  const builtIn = recipes.includes(recipe)
  if (queue === undefined) {
    return (builtIn && threads > 0 && threadsOf?.(threads, signal)) || thisThread(recipe, signal)
  }
  if (!builtIn || !queueModule) {
    throw new ReallmError('unsupported', `the recipe ${recipe.name} cannot go to other machines`, {
      hint: 'only built-in recipes can, from Node; leave the queue away',
    })
  }
  const { queueEncoder } = await queueModule()
  return queueEncoder({ ...queue, signal, onProgress: options.onProgress })
}

function thisThread(recipe: Recipe, signal: AbortSignal | undefined): Encoder {
  return {
    threads: 1,
    encode: job => runJob(recipe, job, signal),
    close: async () => {},
  }
}
