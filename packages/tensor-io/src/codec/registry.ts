import { ReallmError } from '../core/errors.ts'
import type { Matrix } from '../core/tensor.ts'
import type { EncodedMatrix, MatrixCodec } from './codec.ts'

/** Makes a codec out of another one; `name` is what its encoded matrices carry. */
export interface CodecWrapper {
  readonly name: string
  wrap(inner: MatrixCodec): MatrixCodec
}

/** The codecs that an application knows. An instance, not a global: two registries do not meet. */
export interface Registry {
  readonly names: readonly string[]
  /** The codec of a stored matrix, wrappers resolved from its tree. */
  codecOf(e: Pick<EncodedMatrix, 'codec' | 'inner'>): MatrixCodec
  decode(e: EncodedMatrix): Matrix
}

/**
 * Collects codecs and wrappers by name. A duplicate name throws; an unknown one lists the known.
 *
 * @example
 * const registry = createRegistry([grid, trellis], [rotation])
 */
export function createRegistry(
  codecs: readonly MatrixCodec[],
  wrappers: readonly CodecWrapper[] = [],
): Registry {
  const byName = new Map<string, MatrixCodec | CodecWrapper>()
  for (const entry of [...codecs, ...wrappers]) {
    if (byName.has(entry.name)) throw new ReallmError('bad-option', `the codec name ${entry.name} is taken`)
    byName.set(entry.name, entry)
  }
  const names = [...byName.keys()]

  function codecOf(e: Pick<EncodedMatrix, 'codec' | 'inner'>): MatrixCodec {
    const entry = byName.get(e.codec)
    if (!entry || 'wrap' in entry !== (e.inner !== undefined)) {
      throw new ReallmError('unsupported', `unknown codec ${e.codec}`, { hint: `known: ${names.join(', ')}` })
    }
    return 'wrap' in entry ? entry.wrap(codecOf(e.inner!)) : entry
  }

  return { names, codecOf, decode: e => codecOf(e).decode(e) }
}
