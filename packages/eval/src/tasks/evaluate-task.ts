import { type LongWork, ReallmError } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import { isRunning } from '../running/running-model.ts'
import { bootstrap, mean, standardError } from '../statistics.ts'
import type { Kept } from '../tally.ts'
import type { EvaluatedModel } from '../window-work.ts'
import { encodePair } from './encode-pair.ts'
import { fieldsOf } from './fields.ts'
import type { Scored } from './score-continuations.ts'
import type { Item, Task } from './task.ts'

/** Options of `evaluateTask`. */
export interface TaskOptions extends LongWork {
  /** Only the first so many documents. */
  readonly limit?: number | undefined
  /** Of the resampling that gives intervals; default 0. */
  readonly seed?: number | undefined
  /** What was measured before, request by request. Belongs to these documents. */
  readonly kept?: Kept<Scored> | undefined
}

/** A mean over documents. */
export interface Measured {
  readonly value: number
  /** Standard error. */
  readonly error: number
  /** 95 % of bootstrap resamples lie between. */
  readonly interval: readonly [low: number, high: number]
}

/** What a model did with one document. */
export interface Answer {
  readonly gold: number
  /** Nats, of each choice. */
  readonly logLikelihoods: readonly number[]
  /** Index of the choice of the largest log-likelihood, and of the largest per character. */
  readonly choice: number
  readonly choiceByLength: number
  readonly isRight: boolean
}

/** What `evaluateTask` finds of a model. */
export interface TaskResult {
  readonly task: string
  readonly documents: number
  /** Share of right answers. */
  readonly acc: Measured
  /** Share of right answers by log-likelihood per character; of choices alone. */
  readonly accNorm?: Measured | undefined
  /** exp of the mean negative log-likelihood of the word; of last words alone. */
  readonly perplexity?: number | undefined
  readonly answers: readonly Answer[]
  readonly seconds: number
}

/**
 * A zero-shot benchmark by log-likelihood, in the definitions of lm-evaluation-harness.
 *
 * @param documents as `documentsOf` or `downloadDocuments` give them
 * @throws `bad-file` for documents of another benchmark; `bad-option` for none; `numeric`; `aborted`
 * @example
 * const { acc } = await evaluateTask(streamed(model), await model.tokenizer(), taskNamed('piqa'), documents)
 */
export async function evaluateTask(
  model: EvaluatedModel,
  tokenizer: TextTokenizer,
  task: Task,
  documents: readonly unknown[],
  { limit, seed = 0, signal, onProgress, kept }: TaskOptions = {},
): Promise<TaskResult> {
  const started = performance.now()
  const items = documents.slice(0, limit).map((doc, i) => task.item(fieldsOf(doc, task.name, i + 1)))
  if (items.length === 0) throw new ReallmError('bad-option', `${task.name}: there are no documents`)
  const wrong = items.findIndex(({ gold, requests }) => requests[gold] === undefined)
  if (wrong >= 0) {
    throw new ReallmError('bad-file', `${task.name}: document ${wrong + 1} names no right answer`, {
      hint: 'the labels of a test split may be hidden; take the validation split',
    })
  }
  const windows = items.flatMap(({ requests }) =>
    requests.map(request => encodePair(tokenizer, request, model.config.maxPositions)),
  )
  const work = {
    ...{ signal, kept },
    onShare: (share: number) => onProgress?.({ event: 'task-step', name: task.name, done: share, total: 1 }),
  }
  const scored = isRunning(model)
    ? await (await import('./score-running.ts')).scoreRunning(model, windows, work)
    : await (await import('./score-continuations.ts')).scoreContinuations(model, windows, work)
  let next = 0
  const answers = items.map(item => answerOf(item, scored.slice(next, (next += item.requests.length)), task))
  const measured = (values: readonly number[]): Measured => ({
    value: mean(values),
    error: standardError(values),
    interval: bootstrap(values, seed),
  })
  const isWord = task.kind === 'word'
  return {
    task: task.name,
    documents: items.length,
    acc: measured(answers.map(({ isRight }) => Number(isRight))),
    accNorm: isWord ? undefined : measured(answers.map(a => Number(a.choiceByLength === a.gold))),
    perplexity: isWord ? Math.exp(-mean(answers.map(a => a.logLikelihoods[0]))) : undefined,
    answers,
    seconds: (performance.now() - started) / 1000,
  }
}

function answerOf({ gold, lengths }: Item, scored: readonly Scored[], { kind, name }: Task): Answer {
  const logLikelihoods = scored.map(({ logLikelihood }) => logLikelihood)
  if (!logLikelihoods.every(Number.isFinite)) {
    throw new ReallmError('numeric', `${name}: a log-likelihood is ${logLikelihoods.join(', ')}`, {
      hint: 'check the weights for values that are not finite',
    })
  }
  const choice = indexOfLargest(logLikelihoods)
  const choiceByLength = indexOfLargest(logLikelihoods.map((value, i) => value / lengths[i]))
  const isRight = kind === 'word' ? scored[0].isGreedy : choice === gold
  return { gold, logLikelihoods, choice, choiceByLength, isRight }
}

const indexOfLargest = (values: readonly number[]): number => values.indexOf(Math.max(...values))
