import { ReallmError, random, seedFor } from '@reallm/tensor-io'

/** Calibration tokens cut into windows of equal length. The last ones are held out: they measure, never fit. */
export interface Windows {
  readonly fit: readonly Int32Array[]
  readonly heldOut: readonly Int32Array[]
  readonly length: number
  /** In a sentence, for the report. */
  readonly source: string
}

export interface WindowOptions {
  /** Windows that second moments are gathered from. */
  readonly windows: number
  /** Windows kept for measuring perplexity and KL divergence. */
  readonly heldOut: number
  /** Tokens of a window. */
  readonly length: number
}

/**
 * Cuts a text's tokens into windows spread evenly over the whole text, so that a long one is sampled, not only begun;
 * the windows held out are the last ones of the text. A text too short for that many windows gives fewer, then
 * shorter ones.
 *
 * @throws `bad-option` when there are fewer than 16 tokens.
 */
export function windowsOfText(ids: ArrayLike<number>, options: WindowOptions, source: string): Windows {
  if (ids.length < 16) {
    throw new ReallmError('bad-option', `the calibration text has only ${ids.length} tokens`, {
      hint: 'give at least a few thousand words, of the kind the model will be used on',
    })
  }
  const length = Math.min(options.length, Math.max(8, Math.floor(ids.length / 4)))
  const possible = Math.floor(ids.length / length)
  const wanted = options.windows + options.heldOut
  const count = Math.min(wanted, possible)
  const heldOut = Math.min(count - 1, Math.max(1, Math.round((options.heldOut * count) / wanted)))
  const slack = ids.length - count * length
  const window = (i: number) => {
    const start = i * length + Math.floor((slack * i) / count)
    return Int32Array.from({ length }, (_, t) => ids[start + t])
  }
  const all = Array.from({ length: count }, (_, i) => window(i))
  return { fit: all.slice(0, count - heldOut), heldOut: all.slice(count - heldOut), length, source }
}

/** Windows of uniformly random tokens: what is left for a model without tokenizer and without a text. */
export function randomWindows(vocabulary: number, options: WindowOptions, seed: number): Windows {
  const { integer } = random(seedFor(seed, 'calibration'))
  const window = () => Int32Array.from({ length: options.length }, () => integer(vocabulary))
  return {
    fit: Array.from({ length: options.windows }, window),
    heldOut: Array.from({ length: options.heldOut }, window),
    length: options.length,
    source: 'uniformly random tokens (the model has no tokenizer, and no calibration tokens were given)',
  }
}
