import { ReallmError, random, seedFor } from '@reallm/tensor-io'

/** Calibration tokens cut into sequences of equal length. */
export interface Sequences {
  /** What statistics are gathered from, and what trains. */
  readonly calibration: readonly Int32Array[]
  /** What measures, and never fits: the last ones of the text. */
  readonly validation: readonly Int32Array[]
  /** All tokens of the text before `validation`. */
  readonly text: Int32Array
  /** Tokens of a sequence. */
  readonly length: number
  /** In a sentence, for the report. */
  readonly source: string
  /** Whether the tokens are random ones: how well a model predicts them says nothing. */
  readonly random?: boolean | undefined
}

export interface SequenceCounts {
  readonly calibration: number
  readonly validation: number
  /** Tokens of a sequence. */
  readonly length: number
}

/**
 * Cuts a text's tokens into sequences spread evenly over the whole text, so that a long one is sampled and not only
 * begun. A text too short for so many sequences gives fewer, then shorter ones.
 *
 * @throws `bad-option` when there are fewer than 16 tokens.
 */
export function sequencesOfText(ids: ArrayLike<number>, wanted: SequenceCounts, source: string): Sequences {
  if (ids.length < 16) {
    throw new ReallmError('bad-option', `the calibration text has only ${ids.length} tokens`, {
      hint: 'give at least a few thousand words, of the kind the model will be used on',
    })
  }
  const length = Math.min(wanted.length, Math.max(8, Math.floor(ids.length / 4)))
  const possible = Math.floor(ids.length / length)
  const total = wanted.calibration + wanted.validation
  const count = Math.min(total, possible)
  const validation = Math.min(count - 1, Math.max(1, Math.round((wanted.validation * count) / total)))
  const slack = ids.length - count * length
  const startOf = (i: number) => i * length + Math.floor((slack * i) / count)
  const sequence = (i: number) => {
    const start = startOf(i)
    return Int32Array.from({ length }, (_, t) => ids[start + t])
  }
  const all = Array.from({ length: count }, (_, i) => sequence(i))
  return {
    calibration: all.slice(0, count - validation),
    validation: all.slice(count - validation),
    text: Int32Array.from({ length: startOf(count - validation) }, (_, t) => ids[t]),
    length,
    source,
  }
}

/** Sequences of uniformly random tokens, for a model without tokenizer and without a text. */
export function randomSequences(vocabulary: number, counts: SequenceCounts, seed: number): Sequences {
  const { integer } = random(seedFor(seed, 'calibration'))
  const sequence = () => Int32Array.from({ length: counts.length }, () => integer(vocabulary))
  const calibration = Array.from({ length: counts.calibration }, sequence)
  return {
    calibration,
    text: Int32Array.from(calibration.flatMap(ids => [...ids])),
    validation: Array.from({ length: counts.validation }, sequence),
    length: counts.length,
    source: 'uniformly random tokens (the model has no tokenizer, and no calibration tokens were given)',
    random: true,
  }
}
