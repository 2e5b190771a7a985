import { shapeText } from '../core/check.ts'
import { ReallmError } from '../core/errors.ts'
import type { Matrix } from '../core/tensor.ts'
import { altered } from './altered.ts'
import type { MatrixCodec } from './codec.ts'
import type { EncodedMatrix } from './encoded-matrix.ts'
import type { StoredLayout } from './layout.ts'

/** Makes a codec out of another one. */
export interface CodecWrapper {
  readonly layout: StoredLayout
  wrap(inner: MatrixCodec): MatrixCodec
}

/** The codecs that an application knows. An instance, not a global: two registries do not meet. */
export interface Registry {
  /** How each codec and wrapper stores a matrix, by name. */
  readonly layouts: ReadonlyMap<string, StoredLayout>
  /** The codec of a stored matrix, wrappers resolved from its tree. */
  codecOf(e: Described): MatrixCodec
  decode(e: EncodedMatrix): Matrix
}

type Described = Pick<EncodedMatrix, 'codec' | 'inner' | 'shape'>

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
    const name = entry.layout.codec
    if (byName.has(name)) throw new ReallmError('bad-option', `the codec name ${name} is taken`)
    byName.set(name, entry)
  }

  function codecOf({ codec, inner, shape }: Described): MatrixCodec {
    const entry = byName.get(codec)
    if (!entry) {
      throw new ReallmError('unsupported', `unknown codec ${codec}`, {
        hint: `known: ${[...byName.keys()].join(', ')}`,
      })
    }
    if (!('wrap' in entry)) return entry
    if (inner) return entry.wrap(codecOf(inner))
    throw altered(`${codec} ${shapeText(shape)}: the wrapped matrix is missing`, 'bad-file')
  }

  const layouts = new Map([...byName].map(([name, { layout }]) => [name, layout]))
  return { layouts, codecOf, decode: e => codecOf(e).decode(e) }
}
