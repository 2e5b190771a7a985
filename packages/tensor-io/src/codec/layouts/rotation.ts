import type { Fields } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {
  /** Rotate the columns of W (the layer's input). */
  input: { of: [true, false], default: true },
  /** Rotate the rows of W (the layer's output). */
  output: { of: [true, false], default: true },
} as const satisfies Fields

/**
 * Incoherence processing: the wrapped matrix is that of random signs and a Hadamard rotation on both sides.
 *
 * Parts: `seed` U32 `[1]`, of the signs.
 */
export const rotationLayout: StoredLayout<typeof params> = {
  codec: 'rotation',
  wraps: true,
  params,
  parts: () => ({ seed: { dtype: 'U32', shape: [1] } }),
}

/** The seed of the signs. */
export const readSeed = ({ parts }: Stored<typeof rotationLayout>): number =>
  (parts.seed.data as Uint32Array)[0]
