import { ReallmError } from '@reallm/tensor-io'
import type { Window } from './windows.ts'

/** Throws `bad-option` for a token that is not in a vocabulary. */
export function checkTokens(windows: readonly Window[], vocabulary: number): void {
  for (const { ids } of windows) {
    const wrong = ids.find(id => !(Number.isInteger(id) && id >= 0 && id < vocabulary))
    if (wrong !== undefined) {
      throw new ReallmError('bad-option', `token ${wrong} is outside the vocabulary of ${vocabulary}`, {
        hint: 'the tokens are of another tokenizer',
      })
    }
  }
}
