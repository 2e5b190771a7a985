import { continuationAgreement, repetitionRate } from '@reallm/eval'
import { type LongWork, openModel, type Registry, throwIfAborted } from '@reallm/tensor-io'
import {
  createKvCache,
  head,
  hiddenStates,
  loadWeights,
  type ModelWeights,
  openWeights,
  tf,
} from '@reallm/transformer'
import { pause } from '#platform'
import { tokenizerOf } from './model-files.ts'
import type { GenerationReport } from './report.ts'
import type { Windows } from './windows.ts'

/** Prompts, and tokens of each prompt and continuation. */
const sizes = { prompts: 4, prompt: 32, continuation: 48 }

/**
 * What both models write greedily after the beginnings of held-out windows: likelihood can look fine while running text
 * falls apart. Holds one model's weights in memory at a time.
 */
export async function measureGeneration(
  original: ModelWeights,
  artifact: string,
  registry: Registry,
  windows: Windows,
  { signal }: LongWork,
): Promise<GenerationReport> {
  const length = Math.min(sizes.prompt, Math.floor(windows.length / 2))
  const prompts = windows.heldOut.slice(0, sizes.prompts).map(ids => [...ids.subarray(0, length)])
  const compressed = await openWeights(await openModel(artifact, { registry }))
  try {
    const wanted = await continuations(original, prompts, signal)
    const got = await continuations(compressed, prompts, signal)
    const tokenizer = await tokenizerOf(original)
    const text = (ids: readonly number[]) => tokenizer?.decode(ids) ?? ids.join(' ')
    return {
      protocol: `${prompts.length} greedy continuations of ${sizes.continuation} tokens after ${length} tokens of held-out windows`,
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
  } finally {
    await compressed.close()
  }
}

/** What a model writes after each of some prompts of one length, all of them at a time. */
async function continuations(
  model: ModelWeights,
  prompts: readonly (readonly number[])[],
  signal: AbortSignal | undefined,
): Promise<number[][]> {
  const { config } = model
  const weights = await loadWeights(model)
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
    tf.dispose(weights)
  }
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length
