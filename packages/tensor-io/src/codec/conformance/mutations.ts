import type { ErrorCode } from '../../core/errors.ts'
import type { Tensor } from '../../core/tensor.ts'
import type { EncodedMatrix } from '../encoded-matrix.ts'

/** A stored matrix with something wrong, and what refuses it: the error's code, and what its message has to name. */
export interface Mutation {
  readonly what: string
  readonly code: ErrorCode
  readonly names: string
  readonly matrix: EncodedMatrix
}

/**
 * A stored matrix with each of its parts, those of wrapped matrices too, left out, renamed, of another dtype, of another shape or
 * cut off, and with parameters that are no such: everything that reads it has to refuse them.
 */
export function mutations(e: EncodedMatrix): Mutation[] {
  const { inner } = e
  return [
    ...Object.keys(e.parts).flatMap(name => mutatedPart(e, name)),
    mutatedParams(e, 'left out', 'parameters', undefined),
    mutatedParams(e, 'beside one of no codec', 'noSuchOption', { ...(e.params as object), noSuchOption: 1 }),
    ...(inner ? mutations(inner).map(m => ({ ...m, matrix: { ...e, inner: m.matrix } })) : []),
  ]
}

const mutatedParams = (e: EncodedMatrix, what: string, names: string, params: unknown): Mutation => ({
  what: `${e.codec}: parameters ${what}`,
  code: 'bad-file',
  names,
  matrix: { ...e, params },
})

function mutatedPart(e: EncodedMatrix, name: string): Mutation[] {
  const { [name]: part, ...others } = e.parts
  const mutated = (what: string, parts: Readonly<Record<string, Tensor>>): Mutation => ({
    what: `${e.codec}: ${name} ${what}`,
    code: 'bad-tensor',
    names: name,
    matrix: { ...e, parts: { ...others, ...parts } },
  })
  const length = part.data.length
  const dtype = part.dtype === 'F64' ? 'I64' : 'F64'
  return [
    mutated('left out', {}),
    mutated('renamed', { [`${name}_`]: part }),
    mutated('of another dtype', { [name]: { ...part, dtype } }),
    mutated('of another shape', { [name]: { ...part, shape: [...part.shape, 1] } }),
    mutated('cut off', { [name]: { ...part, data: part.data.slice(0, length - 1) as typeof part.data } }),
    mutated('beside a part of no codec', { [name]: part, [`${name}_`]: part }),
  ]
}
