import { type LongWork, ReallmError, warn } from '@reallm/tensor-io'
import type { WeightSource } from '@reallm/transformer'
import { checkTokens } from './check-tokens.ts'
import { type Evaluation, evaluationOf } from './evaluation.ts'
import { isRunning } from './running/running-model.ts'
import type { Tally } from './tally.ts'
import type { EvaluatedModel, PerplexityOptions } from './window-work.ts'
import { type Window, windowsOf } from './windows.ts'

/**
 * Perplexity of a model on tokens under a stated protocol, and how far it is from another model's predictions.
 *
 * @param tokens ids of a long text, or rows of ids
 * @throws as `perplexities`
 * @example
 * const { perplexity: ppl } = await perplexity(streamed(model), ids, { ctx: 512, windows: 40 })
 */
export async function perplexity(
  model: EvaluatedModel,
  tokens: readonly number[] | readonly (readonly number[])[],
  options: PerplexityOptions = {},
): Promise<Evaluation> {
  const [evaluation] = await perplexities([model], tokens, options)
  return evaluation
}

/**
 * Perplexities of several models, each compared with `against`, which runs once for all.
 *
 * Weights go through the windows one block at a time, so that a streamed model takes the memory of one block and of
 * the windows' activations. A running model (`load` of `@reallm/runtime`) reads one window after the other.
 *
 * @param tokens ids of a long text, or rows of ids
 * @throws `bad-option` when the protocol does not fit the tokens, a token is outside the vocabulary, or the
 *   models have different vocabularies or are of both kinds; `numeric` when a loss is not finite; `aborted`
 */
export async function perplexities(
  models: readonly EvaluatedModel[],
  tokens: readonly number[] | readonly (readonly number[])[],
  options: PerplexityOptions = {},
): Promise<Evaluation[]> {
  const { against, kept, seed } = options
  const windows = windowsOf(tokens, options)
  const all = against ? [against, ...models] : models
  checkModels(all, windows, options)
  const started = performance.now()
  const tallies = models.map((_, m) => windows.map((_, w) => kept?.[m].get(w)))
  const known = tallies.map(list => list.filter(tally => tally !== undefined).length)
  const unread = tallies.map(list => windows.filter((_, w) => !list[w]))
  const work = {
    ...{ windows, options },
    isKnown: (m: number, w: number) => tallies[m][w] !== undefined,
    async record(m: number, w: number, tally: Tally) {
      tallies[m][w] = tally
      await kept?.[m].put(w, tally)
    },
  }
  if (models.some((_, m) => known[m] < windows.length)) {
    const running = all.filter(isRunning)
    if (running.length === all.length) {
      const { runWindows } = await import('./running/run-windows.ts')
      await runWindows({ ...work, models: running.slice(-models.length), against: against && running[0] })
    } else {
      const { streamWindows } = await import('./stream-windows.ts')
      const sources = all.filter((model): model is WeightSource => !isRunning(model))
      await streamWindows({ ...work, models: sources.slice(-models.length), against: against && sources[0] })
    }
  }
  const seconds = (performance.now() - started) / 1000
  return tallies.map((list, m) =>
    evaluationOf(
      list.filter(tally => tally !== undefined),
      {
        ...{ seconds, keptWindows: known[m], seed },
        tokensRead: unread[m].reduce((sum, { ids }) => sum + ids.length, 0),
      },
    ),
  )
}

function checkModels(all: readonly EvaluatedModel[], windows: readonly Window[], options: LongWork): void {
  const longest = windows.reduce((most, { ids }) => Math.max(most, ids.length), 0)
  for (const { config } of all) {
    if (longest > config.maxPositions) {
      const known = `${config.maxPositions} positions (max_position_embeddings)`
      warn(options, `windows of ${longest} tokens are longer than the ${known} that the model was made for`)
    }
    checkTokens(windows, config.vocabSize)
    if (config.vocabSize === all[0].config.vocabSize) continue
    const sizes = `${config.vocabSize} and ${all[0].config.vocabSize}`
    throw new ReallmError('bad-option', `models with vocabularies of ${sizes} tokens cannot be compared`)
  }
  const running = all.filter(isRunning).length
  if (running > 0 && running < all.length) {
    throw new ReallmError('bad-option', 'a running model cannot be compared with weights', {
      hint: 'load both with @reallm/runtime, or open both with openWeights',
    })
  }
}
