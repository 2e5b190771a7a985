import { type LongWork, ReallmError, random, seedFor, throwIfAborted } from '@reallm/tensor-io'
import { type LoadOptions, loadModel } from './load.ts'

/** Options of `write`. */
export interface WriteOptions extends Pick<LoadOptions, 'device' | 'threads'>, LongWork {
  /** How many texts. */
  readonly count: number
  /** Tokens of a text, at most. Default 384. */
  readonly tokens?: number | undefined
  /** Same seed, same texts. Default 0. */
  readonly seed?: number | undefined
}

/** A word that may begin a text: capitalised, or in a script without capitals. */
const firstWord = /^\s?[\p{Lu}\p{Lo}]\p{L}+$/u

/**
 * Texts that a model writes by itself, each from a word of its vocabulary drawn at random: calibration text of all that it knows
 * (arXiv 2410.17170). Every token is drawn from the model's own probabilities. Weights of models that are not compressed are held on 8 bits.
 *
 * @throws `unsupported` for a vocabulary without words; what `load` throws; `aborted`
 * @example
 * for await (const text of write('model', { count: 32 })) await appendFile('own.txt', text)
 */
export async function* write(spec: string, options: WriteOptions): AsyncGenerator<string> {
  const { count, tokens = 384, seed = 0, device, threads, signal, onProgress } = options
  using model = await loadModel(spec, { device, threads, weights: 'int8', signal, onProgress })
  const tokenizer = model.tokenizer!
  const words = Array.from({ length: model.config.vocabSize }, (_, id) => tokenizer.decode([id])).filter(
    text => firstWord.test(text),
  )
  if (words.length === 0)
    throw new ReallmError('unsupported', `${spec}: no token of its vocabulary is a word to begin with`, {
      hint: 'calibrate on a text with --calib',
    })
  const stream = random(seedFor(seed, 'write'))
  for (let i = 0; i < count; i++) {
    throwIfAborted(signal)
    const word = words[stream.integer(words.length)].trim()
    const drawing = { temperature: 1, seed: stream.integer(2 ** 31) }
    const generation = model.generate(tokenizer.encode(word), { ...drawing, maxTokens: tokens, signal })
    yield word + (await generation.text())
    onProgress?.({ event: 'text-end', done: i + 1, total: count })
  }
}
