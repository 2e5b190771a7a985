import {
  ReallmError,
  random,
  type GenerateOptions as SamplingOptions,
  sample,
  textStream,
  throwIfAborted,
} from '@reallm/tensor-io'
import { longRopeBeyond, type TextTokenizer, type TransformerConfig } from '@reallm/tensor-io/models'
import { createKvCache } from './kv-cache.ts'
import { tf } from './tf.ts'
import { type Hooks, head, hiddenStates, type Weights } from './transformer.ts'

/** `maxTokens` is 64 by default. */
export interface GenerateOptions extends SamplingOptions {
  /** An adapter, or other changes to linear layers. */
  readonly hooks?: Hooks | undefined
}

/**
 * Token ids that follow `prompt`, one by one, until one of `eos`, `maxTokens` or the last position.
 *
 * @throws `bad-option` for an empty prompt or one longer than the model's positions; `aborted`
 */
export async function* generateIds(
  config: TransformerConfig,
  weights: Weights,
  prompt: readonly number[],
  options: GenerateOptions & { readonly eos?: readonly number[] | undefined } = {},
): AsyncGenerator<number> {
  const { maxTokens = 64, seed = 0, signal, hooks = {}, eos = config.eos } = options
  if (prompt.length === 0)
    throw new ReallmError('bad-option', 'the prompt is empty', { hint: 'give it one token' })
  if (prompt.length > config.maxPositions) {
    const what = `the prompt has ${prompt.length} tokens, the model ${config.maxPositions} positions`
    throw new ReallmError('bad-option', what, { hint: 'shorten the prompt' })
  }
  const stream = random(seed)
  const cache = createKvCache()
  const last = Math.min(maxTokens, config.maxPositions - prompt.length + 1)
  const longBeyond = longRopeBeyond(config)
  const text = [...prompt]
  let next: readonly number[] = prompt
  try {
    for (let made = 0; made < last; made++) {
      throwIfAborted(signal)
      const logits = tf.tidy(() => {
        const ids = tf.tensor2d([...next], [1, next.length], 'int32')
        const states = hiddenStates(config, weights, ids, { ...hooks, cache })
        return head(config, weights, states.slice([0, next.length - 1], [1, 1]), hooks)
      })
      const id = sample((await logits.data()) as Float32Array, options, stream)
      logits.dispose()
      if (eos.includes(id)) return
      yield id
      text.push(id)
      next = [id]
      if (text.length === longBeyond + 1) {
        // All keys turn by other angles from here on.
        cache.dispose()
        next = text
      }
      await tf.nextFrame()
    }
  } finally {
    cache.dispose()
  }
}

/**
 * Text that follows `prompt`, piece by piece; pieces never split a character.
 *
 * @example
 * for await (const text of generate(config, weights, tokenizer, 'The capital of France is')) process.stdout.write(text)
 */
export async function* generate(
  config: TransformerConfig,
  weights: Weights,
  tokenizer: TextTokenizer,
  prompt: string,
  options: GenerateOptions = {},
): AsyncGenerator<string> {
  const text = textStream(ids => tokenizer.decode(ids), options.stop)
  const ids = tokenizer.encode(prompt, { special: true })
  const eos = [...new Set([...config.eos, ...tokenizer.eos])]
  for await (const id of generateIds(config, weights, ids, { ...options, eos })) {
    const piece = text.push(id)
    if (piece !== '') yield piece
    if (text.stopped) return
  }
  const rest = text.end()
  if (rest !== '') yield rest
}
