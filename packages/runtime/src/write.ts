import { type GenerateOptions, random, textStream, throwIfAborted } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/tensor-io/models'
import type { TextMemory } from './drafted-session.ts'
import type { FinishReason, GenerationReport } from './generation.ts'
import { pause } from './pause.ts'

/** Where a text begins. */
interface Beginning {
  readonly session: TextMemory
  readonly prompt: readonly number[]
}

/** What a generation works with. */
export interface GenerationSource {
  /** Called when the first piece is asked for: the memory to go on in, and what is to be in it. */
  start(): Promise<Beginning> | Beginning
  readonly tokenizer: TextTokenizer | undefined
  readonly eos: readonly number[]
  readonly maxPositions: number
  /** Called once after `start`, however it ends. */
  done(text: string, reason: FinishReason): void
}

/** Writes text piece by piece from when the first piece is asked for, and tells `done` what it did, however it ends. */
export async function* write(
  source: GenerationSource,
  options: GenerateOptions,
  done: (report: GenerationReport) => void,
): AsyncGenerator<string> {
  const { tokenizer, eos, maxPositions } = source
  const { maxTokens = 256, seed = 0, stop = [], signal } = options
  const { session, prompt } = await source.start()
  const draws = random(seed)
  const text = textStream(ids => tokenizer?.decode(ids) ?? '', stop)
  const tokens: number[] = []
  let all = ''
  let reason: FinishReason = 'left'
  let promptSeconds = 0
  const start = performance.now()
  let reusedTokens = 0
  try {
    throwIfAborted(signal)
    let unread = session.resume(prompt)
    reusedTokens = prompt.length - unread.length
    const last = Math.min(maxTokens, maxPositions - prompt.length)
    if (last <= 0) await session.feed(unread, signal)
    while (reason === 'left') {
      const count = Math.min(session.ahead, last - tokens.length)
      if (count <= 0) {
        reason = last < maxTokens ? 'context' : 'length'
        break
      }
      const drawn = await session.draw(unread, { ...options, random: draws, count })
      if (tokens.length === 0) promptSeconds = (performance.now() - start) / 1000
      for (const id of drawn) {
        if (eos.includes(id)) {
          reason = 'end'
          break
        }
        tokens.push(id)
        const piece = text.push(id)
        all += piece
        if (piece !== '') yield piece
        if (text.stopped) {
          reason = 'stop'
          break
        }
      }
      unread = drawn.slice(-1)
      await pause()
      if (reason === 'left') throwIfAborted(signal)
    }
    const rest = text.end()
    all += rest
    if (rest !== '') yield rest
  } finally {
    session.truncate(prompt.length + tokens.length)
    const tokenSeconds = (performance.now() - start) / 1000 - promptSeconds
    const promptTokens = prompt.length
    done({ promptTokens, reusedTokens, tokens, reason, promptSeconds, tokenSeconds })
    source.done(all, reason)
  }
}
