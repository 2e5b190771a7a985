import { ReallmError, textOf } from '@reallm/tensor-io'
import type { ModelWeights, TransformerConfig } from '@reallm/transformer'
import { basename, readFile } from '#platform'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import type { Effort } from '../recipes/recipe.ts'
import { randomWindows, type WindowOptions, type Windows, windowsOfText } from './sequences.ts'

/** Calibration windows by effort. */
const windowsOf: Record<Effort, WindowOptions> = {
  fast: { windows: 16, heldOut: 4, length: 256 },
  normal: { windows: 32, heldOut: 4, length: 384 },
  best: { windows: 128, heldOut: 8, length: 512 },
}

/** So many times the windows for recipes that train on them. */
const trainingFactor = 8

/** Calibration tokens for each input of the widest layer, beyond which small models gain little. */
const tokensPerInput: Record<Effort, number> = { fast: 16, normal: 16, best: 32 }

/** Excerpts of Moby-Dick and of State of the Union addresses, public domain; used when no text is given. */
const ownText = new URL('../../calibration.txt', import.meta.url)

/**
 * Calibration windows: from `file` (text, or JSON rows of token ids), else from the built-in English text, else, for
 * a model without tokenizer, random tokens.
 *
 * @param training takes more of the text
 * @throws `not-found` for a text when the model has no tokenizer; `bad-file` for ids outside the vocabulary
 */
export async function calibrationWindows(
  model: ModelWeights,
  file: string | undefined,
  effort: Effort,
  seed: number,
  training = false,
): Promise<Windows> {
  const { vocabSize } = model.config
  const options = training ? trainingOptions(model.config, effort) : windowOptions(model.config, effort)
  const contents = file === undefined ? undefined : await readText(file)
  if (file?.endsWith('.json')) {
    return windowsOfText(
      checkIds(parseIds(contents!, file), vocabSize, file),
      options,
      `tokens of ${basename(file)}`,
    )
  }
  const tokenizer = contents === undefined ? await tokenizerOf(model) : await model.tokenizer()
  if (!tokenizer) return randomWindows(vocabSize, options, seed)
  const text = contents ?? (await readFile(ownText, 'utf8'))
  const source = file === undefined ? 'the built-in text (Moby-Dick, State of the Union)' : basename(file)
  return windowsOfText(checkIds(tokenizer.encode(text), vocabSize, source), options, source)
}

/** Windows by effort, no longer than the context, and no more than small second moments can profit from. */
function windowOptions({ maxPositions, intermediateSize }: TransformerConfig, effort: Effort): WindowOptions {
  const { windows, heldOut, length: wanted } = windowsOf[effort]
  const length = Math.min(wanted, maxPositions)
  const enough = Math.max(4, Math.ceil((tokensPerInput[effort] * intermediateSize) / length))
  return { windows: Math.min(windows, enough), heldOut: Math.min(heldOut, enough), length }
}

function trainingOptions({ maxPositions }: TransformerConfig, effort: Effort): WindowOptions {
  const { windows, heldOut, length } = windowsOf[effort]
  return { windows: trainingFactor * windows, heldOut, length: Math.min(length, maxPositions) }
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ReallmError('not-found', `${file}: the calibration text cannot be read`, {
      hint: 'give a plain text file, or a .json file of token ids',
      cause,
    })
  })
  return textOf(file, bytes)
}

function parseIds(json: string, file: string): number[] {
  try {
    const ids = [JSON.parse(json) as unknown].flat(2)
    if (ids.length > 0 && ids.every(id => typeof id === 'number')) return ids
  } catch {
    // Falls through to the one error for everything that is no list of ids.
  }
  throw new ReallmError('bad-file', `${file} does not hold rows of token ids`, {
    hint: 'expected [[id, …], …]',
  })
}

function checkIds(ids: number[], vocabSize: number, source: string): number[] {
  const bad = ids.find(id => !(Number.isInteger(id) && id >= 0 && id < vocabSize))
  if (bad === undefined) return ids
  throw new ReallmError('bad-file', `${source}: token ${bad} is not in the vocabulary of ${vocabSize}`, {
    hint: 'the tokenizer does not belong to this model',
  })
}
