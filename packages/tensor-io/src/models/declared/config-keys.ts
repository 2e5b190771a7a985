import { ReallmError } from '../../core/errors.ts'
import type { GgufMetadata } from '../config-from-gguf.ts'
import type { TransformerConfig } from '../transformer-config.ts'
import {
  fixedKeys,
  ggufSections,
  harmlessGgufKeys,
  harmlessKeys,
  headWidthKeys,
  ropeKeys,
} from './known-config.ts'
import { isOff } from './off.ts'

/**
 * Keys of a `config.json` that nothing read and that are not known to be harmless.
 *
 * @param unread keys that the family did not read
 * @throws `unsupported` for a value that is known to change what is computed, and for what is not known of a rope
 */
export function unknownConfigKeys(
  { source, family }: Pick<TransformerConfig, 'source' | 'family'>,
  unread: readonly string[],
): string[] {
  for (const key of ['rope_parameters', 'rope_scaling']) checkRope(key, source[key])
  for (const key of unread) {
    const fine = fixedKeys[key]
    if (fine && !isOff(source[key]) && !fine.includes(source[key])) throw refuse(key, source[key])
  }
  const { ignores = [] } = family
  const isKnown = (key: string) => harmlessKeys.has(key) || key in fixedKeys || ignores.includes(key)
  return unread.filter(key => !isKnown(key) && !isOff(source[key]))
}

function checkRope(where: string, given: unknown): void {
  if (typeof given !== 'object' || given === null) return
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      checkRope(`${where}.${key}`, value)
    else if (!ropeKeys.has(key) && !isOff(value)) {
      throw refuse(`${where}.${key}`, value)
    }
  }
}

const refuse = (key: string, value: unknown) =>
  new ReallmError('unsupported', `config.json: ${key} ${JSON.stringify(value)} is not supported`, {
    hint: 'it changes what the model computes: open a model without it',
  })

/**
 * Metadata of a GGUF file about what it computes that nothing read and that are not known to be harmless.
 *
 * @throws `unsupported` for a value that is known to change what is computed
 */
export function unknownGgufKeys(
  metadata: GgufMetadata,
  unread: readonly string[],
  headDim: number | undefined,
): string[] {
  const architecture = `${metadata['general.architecture']}.`
  return unread.filter(key => {
    const own = key.startsWith(architecture) ? key.slice(architecture.length) : key
    if (headWidthKeys.has(own)) {
      if (Number(metadata[key]) === headDim) return false
      throw new ReallmError('unsupported', `GGUF metadata: ${key} ${metadata[key]} is not supported`, {
        hint: `supported: the width of a head, ${headDim}`,
      })
    }
    const about = ggufSections.some(section => key.startsWith(section))
    return !about && !harmlessGgufKeys.has(own) && !isOff(metadata[key]) && Number(metadata[key]) !== 0
  })
}
