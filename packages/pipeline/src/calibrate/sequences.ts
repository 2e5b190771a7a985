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

/** Tokens of a text. */
export interface Text {
  readonly ids: ArrayLike<number>
  /** In a sentence, for the report. */
  readonly source: string
}

/**
 * Cuts the tokens of texts into sequences spread evenly over each text, so that a long one is sampled and not only
 * begun. Every text gives as many, in turn. A text too short for so many sequences gives fewer; one that is alone, then shorter ones.
 *
 * @throws `bad-option` when one has fewer than 16 tokens, of several fewer than four sequences.
 */
export function sequencesOfTexts(texts: readonly Text[], wanted: SequenceCounts): Sequences {
  const least = texts.length > 1 ? 4 * wanted.length : 16
  for (const { ids, source } of texts) {
    if (ids.length >= least) continue
    throw new ReallmError('bad-option', `the calibration text has only ${ids.length} tokens (${source})`, {
      hint: `give at least ${least}, better a few thousand words, of the kind the model will be used on`,
    })
  }
  const share = (count: number) => Math.max(1, Math.ceil(count / texts.length))
  const counts = {
    calibration: share(wanted.calibration),
    validation: share(wanted.validation),
    length: Math.min(wanted.length, ...texts.map(({ ids }) => Math.max(8, Math.floor(ids.length / 4)))),
  }
  const parts = texts.map(text => sequencesOfText(text, counts))
  const all = parts.flatMap(({ text }) => [...text])
  return {
    calibration: inTurn(parts.map(({ calibration }) => calibration)),
    validation: inTurn(parts.map(({ validation }) => validation)),
    text: Int32Array.from(all),
    length: counts.length,
    source: parts.map(({ source }) => source).join(' and '),
  }
}

/** The first of every list, then the second of every list that has one, and so on. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map(list => list.length))
  return Array.from({ length: longest }, (_, i) => lists.flatMap(list => list.slice(i, i + 1))).flat()
}

function sequencesOfText({ ids, source }: Text, wanted: SequenceCounts): Sequences {
  const { length } = wanted
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
