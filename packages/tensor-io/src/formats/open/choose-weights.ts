import { ReallmError } from '../../core/errors.ts'
import { partNames } from '../gguf/part-names.ts'
import type { Directory } from './directory.ts'
import { pickleHint } from './pickle-hint.ts'

export const indexName = 'model.safetensors.index.json'
const wholeName = 'model.safetensors'
const adapterName = 'adapter_model.safetensors'

/** What is to be read of a directory. */
export type Wanted = 'model' | 'artifact' | 'adapter'

/**
 * The weight file of a directory, in the order of transformers: `model.safetensors`, then the index of shards; else the
 * only safetensors or GGUF file, one that is split included. Of an artifact, which always has an index with checksums, the index.
 *
 * @throws `not-found` naming what is there instead; `bad-file` when several files may be meant
 */
export function chooseWeights(
  { name: where, names }: Pick<Directory, 'name' | 'names'>,
  wanted: Wanted,
): string {
  const has = (name: string) => names.includes(name)
  if (wanted === 'adapter') {
    if (has(adapterName)) return adapterName
    throw new ReallmError('not-found', `${where}: there is no ${adapterName} in it`, {
      hint: pickleHint(where, names) ?? 'an adapter in PEFT layout has adapter_config.json and that file',
    })
  }
  if (wanted === 'artifact' && has(indexName)) return indexName
  if (has(wholeName)) return wholeName
  if (has(indexName)) return indexName
  if (has('adapter_config.json') && has(adapterName)) return adapterName
  for (const ending of ['.safetensors', '.gguf', '.onnx']) {
    const candidates = names.filter(name => name.endsWith(ending))
    if (candidates.length === 1 || isSplit(candidates)) return candidates[0]
    if (candidates.length > 1) throw several(where, candidates, ending)
  }
  throw new ReallmError('not-found', `${where}: there is no ${wholeName} in it`, {
    hint:
      pickleHint(where, names) ??
      'a model directory has config.json and model.safetensors (or its index and shards)',
  })
}

/** What lies beside the chosen file and could have been meant too. */
export function passedOver({ names }: Pick<Directory, 'names'>, chosen: string): string | undefined {
  if (chosen !== wholeName || !names.includes(indexName)) return undefined
  return `${wholeName} is read; ${indexName} beside it is not`
}

/** All parts of one split GGUF file, in order. */
const isSplit = (names: readonly string[]): boolean =>
  names.length > 1 && partNames(names[0])?.join() === names.join()

function several(where: string, candidates: readonly string[], ending: string): ReallmError {
  const what = `which of its ${candidates.length} ${ending} files is meant?`
  const first = `${candidates.slice(0, 3).join(', ')}${candidates.length > 3 ? ', …' : ''}`
  const shards = candidates.every(name => /-\d+-of-\d+\.safetensors$/.test(name))
  return new ReallmError('bad-file', `${where}: ${what}`, {
    hint: shards ? `${first} are shards: put their ${indexName} beside them` : `name one: ${first}`,
  })
}
