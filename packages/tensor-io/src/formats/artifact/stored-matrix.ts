import type { EncodedMatrix } from '../../codec/encoded-matrix.ts'
import { ReallmError } from '../../core/errors.ts'
import type { MatrixShape, Tensor } from '../../core/tensor.ts'

/** What a file says about an encoded matrix, without its tensors; `parts` are their names. */
export interface StoredMatrix {
  readonly codec: string
  readonly params: unknown
  readonly shape: MatrixShape
  readonly parts: readonly string[]
  readonly inner?: StoredMatrix
}

/** The description of an encoded matrix. */
export function describe({ codec, params, shape, parts, inner }: EncodedMatrix): StoredMatrix {
  const described = { codec, params, shape, parts: Object.keys(parts).sort() }
  return inner ? { ...described, inner: describe(inner) } : described
}

/** Names of all tensors of a stored matrix, without the module's name. */
export function partNames({ parts, inner }: StoredMatrix): string[] {
  return inner ? [...parts, ...partNames(inner).map(name => `inner.${name}`)] : [...parts]
}

/** Puts an encoded matrix together again; `read` gets the names of `partNames`. */
export async function assemble(
  { codec, params, shape, parts, inner }: StoredMatrix,
  read: (part: string) => Promise<Tensor>,
): Promise<EncodedMatrix> {
  const tensors: Record<string, Tensor> = {}
  for (const part of parts) tensors[part] = await read(part)
  const encoded = { codec, params, shape, parts: tensors }
  return inner ? { ...encoded, inner: await assemble(inner, part => read(`inner.${part}`)) } : encoded
}

const deepest = 8

/** Checks a description that was read from JSON; throws `bad-file` beginning with `where`. */
export function parseStoredMatrix(where: string, json: unknown, depth = 0): StoredMatrix {
  const refuse = (what: string) =>
    new ReallmError('bad-file', `${where}: ${what}`, {
      hint: 'compress the model again, or download it again',
    })
  if (typeof json !== 'object' || json === null) throw refuse('it is not described')
  const { codec, params, shape, parts, inner } = json as Record<string, unknown>
  if (typeof codec !== 'string') throw refuse('its codec has no name')
  const isShape =
    Array.isArray(shape) && shape.length === 2 && shape.every(n => Number.isSafeInteger(n) && n > 0)
  if (!isShape) throw refuse('its shape is not two positive numbers')
  if (!Array.isArray(parts) || parts.some(part => typeof part !== 'string'))
    throw refuse('its parts are not named')
  const stored = { codec, params, shape: shape as [number, number], parts: parts as string[] }
  if (inner === undefined) return stored
  if (depth === deepest) throw refuse('codecs are nested too deep')
  return { ...stored, inner: parseStoredMatrix(`${where}: inner`, inner, depth + 1) }
}
