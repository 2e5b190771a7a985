import { openFileSource, ReallmError, readAll, textOf } from '@reallm/tensor-io'
import { type TransformerConfig, widestInput } from '@reallm/transformer'
import { basename, readFile } from '#platform'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import type { Effort } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'
import {
  randomSequences,
  type SequenceCounts,
  type Sequences,
  sequencesOfTexts,
  type Text,
} from './sequences.ts'

/** Sequences that are measured: short ones, from many places of the text. */
const measured: Record<Effort, SequenceCounts> = {
  fast: { calibration: 32, validation: 8, length: 128 },
  normal: { calibration: 288, validation: 12, length: 128 },
  best: { calibration: 512, validation: 32, length: 128 },
}

/** Sequences that recipes train on. */
const trained: Record<Effort, SequenceCounts> = {
  fast: { calibration: 128, validation: 4, length: 256 },
  normal: { calibration: 768, validation: 4, length: 384 },
  best: { calibration: 1024, validation: 8, length: 512 },
}

/** Calibration tokens for each input of the widest layer, beyond which small models gain little. */
const tokensPerInput: Record<Effort, number> = { fast: 16, normal: 16, best: 32 }

/** Excerpts of Moby-Dick and of State of the Union addresses, public domain; used when no text is given. */
const ownText = new URL('../../calibration.txt', import.meta.url)

/** A calibration file that was read: text, or token ids. */
export type CalibrationFile = { readonly file: string } & (
  | { readonly text: string }
  | { readonly ids: readonly number[] }
)

/**
 * Reads calibration files: text, or JSON rows of token ids by its ending.
 *
 * @throws `not-found`; `bad-file` for JSON that holds no rows of ids
 */
export const readCalibration = (
  files: string | readonly string[] = [],
): Promise<readonly CalibrationFile[]> => Promise.all([files].flat().map(readOne))

async function readOne(file: string): Promise<CalibrationFile> {
  const text = textOf(file, await contentsOf(file))
  return file.endsWith('.json') ? { file, ids: parseIds(text, file) } : { file, text }
}

/**
 * Calibration sequences: from what is `given`, in equal shares, else from the built-in English text, else, for a model without tokenizer, random
 * tokens.
 *
 * @throws `not-found` for a text when the model has no tokenizer; `bad-file` for ids outside the vocabulary
 */
export async function calibrationSequences(
  { weights, config }: OpenedModel,
  given: readonly CalibrationFile[],
  { recipe, effort, seed }: Settings,
): Promise<Sequences> {
  const { vocabSize } = config
  const trains = recipe.quantise.kind === 'joint' && recipe.quantise.trains === true
  const counts = trains ? within(trained[effort], config) : measuredCounts(config, effort)
  const tokensOf = async (given: CalibrationFile): Promise<Text> => {
    const name = basename(given.file)
    if ('ids' in given)
      return { ids: checkIds(given.ids, vocabSize, given.file), source: `tokens of ${name}` }
    const tokenizer = await weights.tokenizer()
    return { ids: checkIds(tokenizer.encode(given.text), vocabSize, name), source: name }
  }
  if (given.length > 0) return sequencesOfTexts(await Promise.all(given.map(tokensOf)), counts)
  const tokenizer = await tokenizerOf(weights)
  if (!tokenizer) return randomSequences(vocabSize, counts, seed)
  const source = 'the built-in text (Moby-Dick, State of the Union)'
  const ids = checkIds(tokenizer.encode(await readFile(ownText, 'utf8')), vocabSize, source)
  return sequencesOfTexts([{ ids, source }], counts)
}

/** No more than the Hessians of a small model can profit from. */
function measuredCounts(config: TransformerConfig, effort: Effort): SequenceCounts {
  const { calibration, validation, length } = within(measured[effort], config)
  const enough = Math.max(4, Math.ceil((tokensPerInput[effort] * widestInput(config)) / length))
  return { calibration: Math.min(calibration, enough), validation: Math.min(validation, enough), length }
}

/** No longer than the context. */
const within = (counts: SequenceCounts, { maxPositions }: TransformerConfig): SequenceCounts => ({
  ...counts,
  length: Math.min(counts.length, maxPositions),
})

async function contentsOf(file: string): Promise<Uint8Array> {
  const source = await openFileSource(file)
  try {
    return await readAll(source)
  } finally {
    await source.close()
  }
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

function checkIds(ids: readonly number[], vocabSize: number, source: string): readonly number[] {
  const bad = ids.find(id => !(Number.isInteger(id) && id >= 0 && id < vocabSize))
  if (bad === undefined) return ids
  throw new ReallmError('bad-file', `${source}: token ${bad} is not in the vocabulary of ${vocabSize}`, {
    hint: 'the tokenizer does not belong to this model',
  })
}
