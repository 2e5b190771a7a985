import {
  type Evaluation,
  evaluateTask,
  type PerplexityOptions,
  perplexities,
  type Scored,
  type Tally,
  type Task,
  type TaskOptions,
  type TaskResult,
} from '@reallm/eval'
import type { LongWork } from '@reallm/tensor-io'
import type { ModelWeights, TextTokenizer } from '@reallm/transformer'
import { partsOfModel } from '../open/model-parts.ts'
import { scanWeights } from '../open/scan-weights.ts'
import { digestOf, jsonOf, type KeptResults, keptResults, type ResultsOf } from './kept-results.ts'
import type { OpenedEvaluation, OpenedEvaluations } from './open-evaluated.ts'

/** Whether results of earlier runs are used. */
export interface CachedOptions {
  /**
   * Whether results are kept in the user's cache folder, under a digest of the models, the tokens and what computes: then a
   * killed run goes on where it was, and a complete one is not repeated. Default true.
   */
  readonly cache?: boolean | undefined
}

/** Models to measure, all by one engine. */
export type EvaluationSet = Pick<OpenedEvaluations, 'engine'> & {
  readonly models: readonly OpenedEvaluation[]
  readonly against?: OpenedEvaluation | undefined
}

/**
 * `perplexities` of opened models, with results of earlier runs (`keptWindows` of each tells how many).
 *
 * @throws as `perplexities`; `numeric` naming the first weight that is none, with a cache
 */
export async function evaluatePerplexities(
  { engine, models, against }: EvaluationSet,
  tokens: readonly number[] | readonly (readonly number[])[],
  { cache = true, ...options }: Omit<PerplexityOptions, 'against' | 'kept'> & CachedOptions = {},
): Promise<Evaluation[]> {
  const { protocol = 'half', ctx = null, stride = null, bos = null } = options
  const of = {
    ...{ kind: 'perplexity', engine, tokens: digestOf(tokens), protocol, ctx, stride, bos },
    against: cache && against ? await digestOfWeights(against.weights, options) : null,
  }
  const kept = cache ? await keptOf<Tally>(models, of, options) : undefined
  try {
    return await perplexities(
      models.map(({ model }) => model),
      tokens,
      { ...options, against: against?.model, kept },
    )
  } finally {
    for (const results of kept ?? []) await results.close()
  }
}

/** A benchmark's result, and how many of its requests were measured before. */
export interface CachedTaskResult extends TaskResult {
  readonly keptRequests: number
}

/**
 * `evaluateTask` of an opened model, with results of earlier runs.
 *
 * @throws as `evaluateTask`; `numeric` naming the first weight that is none, with a cache
 */
export async function evaluateOpenedTask(
  engine: string,
  opened: OpenedEvaluation,
  tokenizer: TextTokenizer,
  { task, documents }: { readonly task: Task; readonly documents: readonly unknown[] },
  { cache = true, ...options }: Omit<TaskOptions, 'kept'> & CachedOptions = {},
): Promise<CachedTaskResult> {
  const of = {
    ...{ kind: 'task', engine, task: task.name, documents: digestOf(documents) },
    tokenizer: digestOf(tokenizer.encode(jsonOf(documents.slice(0, 100)))),
  }
  const [kept] = cache ? await keptOf<Scored>([opened], of, options) : []
  try {
    const result = await evaluateTask(opened.model, tokenizer, task, documents, { ...options, kept })
    return { ...result, keptRequests: kept?.found ?? 0 }
  } finally {
    await kept?.close()
  }
}

async function keptOf<T>(
  models: readonly OpenedEvaluation[],
  of: ResultsOf,
  work: LongWork,
): Promise<KeptResults<T>[]> {
  const kept: KeptResults<T>[] = []
  for (const { weights } of models) {
    kept.push(await keptResults<T>({ ...of, model: await digestOfWeights(weights, work) }, work))
  }
  return kept
}

const digests = new WeakMap<ModelWeights, Promise<string>>()

/** Of configuration and weights, read once. */
function digestOfWeights(weights: ModelWeights, { signal, onProgress }: LongWork): Promise<string> {
  const known = digests.get(weights)
  if (known) return known
  const scanned = scanWeights(weights, partsOfModel(weights.config), { signal, onProgress })
  const digest = scanned.then(({ digest }) => digest)
  digests.set(weights, digest)
  return digest
}
