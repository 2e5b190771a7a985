import { predictionOf } from '@reallm/kernels'
import { throwIfAborted } from '@reallm/tensor-io'
import { checkTokens } from '../check-tokens.ts'
import { predict } from '../running/predict.ts'
import type { RunningModel } from '../running/running-model.ts'
import type { Window } from '../windows.ts'
import type { Scored, ScoreOptions } from './score-continuations.ts'

/**
 * Log-likelihoods of the scored positions of windows by a running model, in their order. What neighbours have in common,
 * such as the question of several answers, is read once.
 *
 * @throws `bad-option` for a token outside the vocabulary; `aborted`
 */
export async function scoreRunning(
  model: RunningModel,
  windows: readonly Window[],
  { signal, onShare, kept }: ScoreOptions = {},
): Promise<Scored[]> {
  checkTokens(windows, model.config.vocabSize)
  const session = model.session()
  try {
    const results: Scored[] = []
    for (const [w, window] of windows.entries()) {
      throwIfAborted(signal)
      let scored = kept?.get(w)
      if (!scored) {
        scored = { logLikelihood: 0, isGreedy: true }
        for await (const { logits, labels } of predict(session, window, signal)) {
          const predictions = logits.map(predictionOf)
          const likelihoods = labels.map((id, i) => logits[i][id] - predictions[i].logSumExp)
          scored = {
            logLikelihood: likelihoods.reduce((sum, value) => sum + value, scored.logLikelihood),
            isGreedy: scored.isGreedy && labels.every((id, i) => predictions[i].likeliest === id),
          }
        }
        await kept?.put(w, scored)
      }
      results.push(scored)
      onShare?.((w + 1) / windows.length)
    }
    return results
  } finally {
    session.dispose()
  }
}
