import { block, type TfTensor, tf, type WeightSource } from '@reallm/transformer'
import type { Window } from './windows.ts'

/** Tokens that go through a block at one time. */
export const batchTokens = 2048

/** The head's inputs that predict each window's scored positions: `[scored, hidden]` per window. */
export async function scoredStates(
  model: WeightSource,
  windows: readonly Window[],
  step: (name: string) => Promise<void>,
): Promise<TfTensor[]> {
  const { config, hooks = {} } = model
  let batches: TfTensor[] = []
  try {
    batches = await model.embed(inChunks(windows, batchTokens).map(padded))
    for (let i = 0; i < config.layers; i++) {
      await model.with(i, weights => {
        for (const [b, x] of batches.entries()) {
          batches[b] = block(config, weights, i, x, hooks)
          x.dispose()
        }
      })
      await step(`block ${i}`)
    }
    const rows = tf.tidy(() => batches.flatMap(batch => tf.unstack(batch)))
    const scored = tf.tidy(() =>
      rows.map((row, i) => row.slice([windows[i].from - 1], [scoredTokens(windows[i])])),
    )
    tf.dispose(rows)
    return scored
  } finally {
    tf.dispose(batches)
  }
}

/** Token ids `[windows, longest]`; what follows a shorter window changes nothing before it. */
function padded(windows: readonly Window[]): number[][] {
  const longest = windows.reduce((most, { ids }) => Math.max(most, ids.length), 0)
  return windows.map(({ ids }) => [...ids, ...new Array<number>(longest - ids.length).fill(0)])
}

const scoredTokens = ({ ids, from }: Window): number => ids.length - from

/** Consecutive windows of up to so many tokens together, when all are as long as the longest. */
export function inChunks(windows: readonly Window[], tokens: number): Window[][] {
  const chunks: Window[][] = []
  let longest = 0
  for (const window of windows) {
    const chunk = chunks.at(-1)
    const length = Math.max(longest, window.ids.length)
    if (chunk && length * (chunk.length + 1) <= tokens) {
      chunk.push(window)
      longest = length
    } else {
      chunks.push([window])
      longest = window.ids.length
    }
  }
  return chunks
}
