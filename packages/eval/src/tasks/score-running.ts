import { throwIfAborted } from '@reallm/tensor-io'
import { checkTokens } from '../check-tokens.ts'
import { likeliest, logSumExp } from '../running/compare-logits.ts'
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
          scored = {
            logLikelihood:
              scored.logLikelihood +
              labels.reduce((sum, id, i) => sum + logits[i][id] - logSumExp(logits[i]), 0),
            isGreedy: scored.isGreedy && labels.every((id, i) => likeliest(logits[i]) === id),
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
