import type { MatrixCodec } from '@reallm/tensor-io'
import { additive } from './additive/index.ts'
import { e8 } from './e8/index.ts'
import { gguf } from './gguf/index.ts'
import { grid } from './grid/index.ts'
import { kmeans } from './kmeans/index.ts'
import { normalfloat } from './normalfloat/index.ts'
import { trellis, trellisBands } from './trellis/index.ts'

export * from './additive/index.ts'
export * from './e8/index.ts'
export * from './gguf/index.ts'
export * from './grid/index.ts'
export * from './kmeans/index.ts'
export * from './normalfloat/index.ts'
export * from './transforms/index.ts'
export * from './trellis/index.ts'

/** Every codec of this package, for `createRegistry`. */
export const codecs: readonly MatrixCodec[] = [
  grid,
  normalfloat,
  kmeans,
  e8,
  trellis,
  trellisBands,
  additive,
  gguf,
]
