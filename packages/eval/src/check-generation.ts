import { type LongWork, ReallmError, random } from '@reallm/tensor-io'
import { continuationAgreement, repetitionRate } from './continuation.ts'
import type { RunningModel } from './running/running-model.ts'
import { mean } from './statistics.ts'

/** Options of `checkGeneration`. */
export interface GenerationOptions extends LongWork {
  /** The original: its continuations are compared with. */
  readonly against?: RunningModel | undefined
  /** Tokens of each continuation; default 32. */
  readonly tokens?: number | undefined
}

/** What a model writes greedily: likelihood can look fine while running text falls apart. */
export interface GenerationCheck {
  readonly prompts: number
  /** Share of n-grams that occurred before, see `repetitionRate`; mean over prompts. */
  readonly repetition: number
  readonly otherRepetition?: number | undefined
  /** Share of a continuation before it departs from the other model's, see `continuationAgreement`; mean over prompts. */
  readonly agreement?: number | undefined
  /** Ids of each. */
  readonly continuations: readonly (readonly number[])[]
  readonly otherContinuations?: readonly (readonly number[])[] | undefined
}

/**
 * Continues prompts greedily, and tells how much that repeats itself, and how long it agrees with another model's.
 *
 * @param prompts ids of each, such as beginnings of windows
 * @throws `bad-option` without prompts; `aborted`
 * @example
 * const { repetition, agreement } = await checkGeneration(await load('out'), prompts, { against: await load('model.gguf') })
 */
export async function checkGeneration(
  model: RunningModel,
  prompts: readonly (readonly number[])[],
  { against, tokens = 32, signal, onProgress }: GenerationOptions = {},
): Promise<GenerationCheck> {
  if (prompts.length === 0) throw new ReallmError('bad-option', 'there are no prompts to continue')
  const total = prompts.length * (against ? 2 : 1)
  let done = 0
  const continued = async (running: RunningModel) => {
    const written: number[][] = []
    for (const prompt of prompts) {
      written.push(await greedy(running, prompt, tokens, signal))
      onProgress?.({ event: 'continuation-end', name: `continuation ${written.length}`, done: ++done, total })
    }
    return written
  }
  const continuations = await continued(model)
  const otherContinuations = against && (await continued(against))
  return {
    prompts: prompts.length,
    repetition: mean(continuations.map(ids => repetitionRate(ids))),
    otherRepetition: otherContinuations && mean(otherContinuations.map(ids => repetitionRate(ids))),
    agreement:
      otherContinuations &&
      mean(continuations.map((ids, i) => continuationAgreement(ids, otherContinuations[i]))),
    continuations,
    otherContinuations,
  }
}

async function greedy(
  model: RunningModel,
  prompt: readonly number[],
  tokens: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const session = model.session()
  try {
    const written: number[] = []
    let next = prompt
    while (written.length < tokens && prompt.length + written.length < model.config.maxPositions) {
      const drawn = await session.draw(next, { temperature: 0, random: random(0), signal })
      written.push(...drawn)
      if (model.eos.includes(drawn[0])) break
      next = drawn
    }
    return written
  } finally {
    session.dispose()
  }
}
