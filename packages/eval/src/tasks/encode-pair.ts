import { ReallmError } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import type { Window } from '../windows.ts'
import type { Request } from './task.ts'

/**
 * The tokens of a context and its continuation, those of the continuation scored, as lm-evaluation-harness cuts them: the
 * whole is encoded, and the continuation is what exceeds the context's own length; spaces at the end of the context belong
 * to the continuation. What does not fit `maxPositions` is cut off in front.
 *
 * @throws `bad-option` for a continuation without tokens, or one longer than the model's context
 */
export function encodePair(
  tokenizer: TextTokenizer,
  { context, continuation }: Request,
  maxPositions: number,
): Window {
  const trimmed = context.trimEnd()
  const encode = (text: string) => tokenizer.encode(text, { special: true })
  const whole =
    trimmed === ''
      ? [firstOf(tokenizer), ...encode(continuation.trimStart())]
      : encode(context + continuation)
  const from = trimmed === '' ? 1 : encode(trimmed).length
  const scored = whole.length - from
  if (scored < 1 || scored >= maxPositions) {
    throw new ReallmError('bad-option', `"${continuation.slice(0, 40)}" has ${scored} tokens of its own`, {
      hint: `a continuation needs at least one and fewer than the model's ${maxPositions} positions`,
    })
  }
  const cut = Math.max(0, whole.length - maxPositions)
  return { ids: whole.slice(cut), from: Math.max(1, from - cut) }
}

/** What stands for an empty context. */
function firstOf({ bos, eos }: TextTokenizer): number {
  const first = bos ?? eos[0]
  if (first !== undefined) return first
  throw new ReallmError('bad-option', 'an empty context needs a token that begins or ends texts', {
    hint: "this model's tokenizer names neither",
  })
}
