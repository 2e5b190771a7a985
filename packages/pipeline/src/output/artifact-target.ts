import { bitsOf, type StorageCost } from '@reallm/tensor-io'
import type { OpenedModel } from '../open/open-model.ts'
import type { Target } from './target.ts'
import { writeArtifact } from './write-artifact.ts'

/** Bytes before the tensors of a safetensors file: length, braces, metadata, padding. */
const fileOverhead = 128

/** An artifact: a directory of safetensors. */
export const artifactTarget = (model: OpenedModel, shardBytes: number): Target => ({
  name: 'reallm',
  fixedBytes: fileOverhead + storedBytes('', model.plain),
  storedBytes,
  write: (quantised, work) => writeArtifact(model, quantised, work, shardBytes),
})

/** Bytes of tensors in a safetensors file, with their header entries at their longest. */
function storedBytes(module: string, cost: StorageCost): number {
  const entries = Object.entries(cost).map(([part, { dtype, shape }]) => {
    const name = module ? `${module}.${part}` : part
    return `"${name}":{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[0000000000,0000000000]},`.length
  })
  return bitsOf(cost) / 8 + entries.reduce((sum, n) => sum + n, 0)
}
