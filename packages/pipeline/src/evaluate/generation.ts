import { continuationAgreement, repetitionRate } from '@reallm/eval'
import { type LongWork, throwIfAborted } from '@reallm/tensor-io'
import {
  createKvCache,
  head,
  hiddenStates,
  type TextTokenizer,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import { pause } from '#platform'
import type { Sequences } from '../calibrate/sequences.ts'
import type { GenerationReport } from '../output/report.ts'

/** Prompts, and tokens of each prompt and continuation; products of eight rows are no slower than of four. */
const sizes = { prompts: 8, prompt: 32, continuation: 32 }

const promptLength = ({ length }: Sequences): number => Math.min(sizes.prompt, Math.floor(length / 2))

/** The beginnings of validation sequences, then of their second halves. */
const promptsOf = (sequences: Sequences): number[][] =>
  [0, Math.floor(sequences.length / 2)]
    .flatMap(from => sequences.validation.map(ids => [...ids.subarray(from, from + promptLength(sequences))]))
    .slice(0, sizes.prompts)

/**
 * What two models wrote (`continuations`) greedily after beginnings of validation sequences: likelihood can look fine while
 * running text falls apart.
 */
export function compareGeneration(
  wanted: readonly (readonly number[])[],
  got: readonly (readonly number[])[],
  sequences: Sequences,
  tokenizer: TextTokenizer | undefined,
): GenerationReport {
  const prompts = promptsOf(sequences)
  const text = (ids: readonly number[]) => tokenizer?.decode(ids) ?? ids.join(' ')
  return {
    protocol: `${prompts.length} greedy continuations of ${sizes.continuation} tokens after ${promptLength(sequences)} tokens of validation sequences`,
    repetition: {
      original: meanOf(wanted.map(c => repetitionRate(c))),
      compressed: meanOf(got.map(c => repetitionRate(c))),
    },
    agreement: meanOf(got.map((c, i) => continuationAgreement(c, wanted[i]))),
    samples: prompts.map((prompt, i) => ({
      prompt: text(prompt),
      original: text(wanted[i]),
      compressed: text(got[i]),
    })),
  }
}

/** What a model writes greedily after beginnings of validation sequences, all of them at a time. */
export async function continuations(
  config: TransformerConfig,
  weights: Weights,
  sequences: Sequences,
  { signal }: LongWork,
): Promise<number[][]> {
  const prompts = promptsOf(sequences)
  const cache = createKvCache()
  const written: number[][] = prompts.map(() => [])
  const most = Math.min(sizes.continuation, config.maxPositions - (prompts[0]?.length ?? 0) + 1)
  let next = prompts
  try {
    for (let made = 0; made < most && prompts.length > 0; made++) {
      throwIfAborted(signal)
      const likeliest = tf.tidy(() => {
        const shape: [number, number] = [next.length, next[0].length]
        const states = hiddenStates(config, weights, tf.tensor2d(next.flat(), shape, 'int32'), { cache })
        const last = states.slice([0, shape[1] - 1], [shape[0], 1])
        return head(config, weights, last).argMax(-1).dataSync()
      })
      for (const [p, id] of likeliest.entries()) written[p].push(id)
      next = Array.from(likeliest, id => [id])
      await pause()
    }
    return written
  } finally {
    cache.dispose()
  }
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length
