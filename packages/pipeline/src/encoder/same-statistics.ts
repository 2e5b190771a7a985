import type { Matrix } from '@reallm/tensor-io'
import type { RoundingStatistics } from './encode-matrix.ts'

type Prepared = Pick<RoundingStatistics, 'hessian' | 'crossCovariance'>

/** Whether what was prepared for some statistics serves others: values count, because matrices of several runs have the same names. */
export const sameStatistics = (a: Prepared, b: Prepared): boolean =>
  sameMatrix(a.hessian, b.hessian) && sameMatrix(a.crossCovariance, b.crossCovariance)

const sameMatrix = (a: Matrix | undefined, b: Matrix | undefined): boolean =>
  a && b ? a.cols === b.cols && bytesOf(a).equals(bytesOf(b)) : a === b

const bytesOf = ({ data: { buffer, byteOffset, byteLength } }: Matrix): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)
