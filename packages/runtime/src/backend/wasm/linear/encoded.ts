import { type EncodedMatrix, ReallmError } from '@reallm/tensor-io'
import type { Engine } from '../engine.ts'
import type { Linear } from './linear.ts'
import type { EncodedForm, Runner } from './runner.ts'

/** Codecs that this package runs by itself. A page fetches the code of those that its model has. */
const imports = new Map<string, () => Promise<Runner>>([
  ['autoencoder', async () => (await import('./neural.ts')).autoencoder],
  ['gguf', async () => (await import('./gguf.ts')).gguf],
  ['grid', async () => (await import('./grid.ts')).grid],
  ['kmeans', async () => (await import('./kmeans.ts')).kmeans],
  ['lowrank', async () => (await import('./low-rank.ts')).lowrank],
  ['lowrank-residual', async () => (await import('./low-rank.ts')).lowRankResidual],
  ['lplr', async () => (await import('./low-rank.ts')).lplr],
  ['monarch', async () => (await import('./monarch.ts')).monarch],
  ['monarch-residual', async () => (await import('./monarch.ts')).monarchResidual],
  ['normalfloat', async () => (await import('./normalfloat.ts')).normalfloat],
  ['rom', async () => (await import('./low-rank.ts')).rom],
  ['rotation', async () => (await import('./rotated.ts')).rotation],
  ['row-scaled', async () => (await import('./scaled.ts')).rowScaled],
  ['scaling', async () => (await import('./scaled.ts')).scaling],
  ['trellis', async () => (await import('./trellis.ts')).trellis],
  ['trellis-bands', async () => (await import('./trellis.ts')).trellisBands],
])

/** Those that were fetched: to import again takes a page as long as a small matrix. */
const runners = new Map<string, Promise<Runner>>()

function runnerOf(codec: string): Promise<Runner> | undefined {
  const runner = runners.get(codec) ?? imports.get(codec)?.()
  if (!runner) return undefined
  runners.set(codec, runner)
  // what could not be fetched is asked for again
  runner.catch(() => runners.delete(codec))
  return runner
}

interface Described {
  readonly codec: string
  readonly inner?: Described | undefined
}

/** Whether a stored matrix, wrappers included, can be run without a registry. */
export const isKnown = ({ codec, inner }: Described): boolean =>
  imports.has(codec) && (inner === undefined || isKnown(inner))

/**
 * A stored matrix, ready to run: rotations act on the activations, low-rank parts are applied as `L₁ (L₂ x)`, codes are
 * decoded at each use (`packed`), held as integers without loss (`exact`), or written anew (`written`, and wherever
 * the wanted form is not possible).
 *
 * @throws what `checkParts` of its layout throws; `unsupported` for codecs that are not known
 */
export async function encodedLinear(engine: Engine, e: EncodedMatrix, options: EncodedForm): Promise<Linear> {
  const run = await runnerOf(e.codec)
  if (!run) throw new ReallmError('unsupported', `the codec ${e.codec} needs a registry to run`)
  return run(engine, e, options, inner => encodedLinear(engine, inner, options))
}
