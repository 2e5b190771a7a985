import { type Matrix, openFileSource, ReallmError, zeroMatrix } from '@reallm/tensor-io'
import { ggufTensors, ggufValues, storedParts } from '@reallm/tensor-io/gguf'
import type { Imatrix } from '@reallm/tensor-io/imatrix'
import { basename, createHash } from '#platform'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { Recipe } from '../recipes/recipe.ts'

/** An importance matrix of llama.cpp in place of calibration: the diagonals of the Hessians. */
export interface Importance {
  /** Name of the file, for reports. */
  readonly source: string
  /** Of everything that decides about results. */
  readonly digest: string
  /** The Hessian of a matrix's inputs: a diagonal, of ones for an embedding or head that the file says nothing of. */
  hessian(module: MatrixModule): Matrix
}

/**
 * Reads an importance matrix for a model.
 *
 * @throws `bad-file` where it is of another model; `bad-option` for a recipe that needs more than it tells
 */
export async function openImportance(
  path: string,
  { config, parts }: OpenedModel,
  { name, objective, quantise }: Recipe,
): Promise<Importance> {
  if (objective.kind !== 'outputs' || quantise.kind !== 'perMatrix' || quantise.tune) {
    throw new ReallmError('bad-option', `the recipe ${name} cannot round by an importance matrix`, {
      hint: 'leave --imatrix away, or use a recipe that rounds matrix by matrix for its outputs, like gguf',
    })
  }
  const { readImatrix } = await import('@reallm/tensor-io/imatrix')
  const imatrix = await readImatrix(await openFileSource(path))
  const inGguf = ggufTensors(config)
  const diagonals = new Map<string, Float32Array>()
  for (const module of parts.matrices) {
    const stored = inGguf.get(`${module.name}.weight`)
    if (!stored) continue
    const [{ name: first }] = storedParts(stored, module.shape)
    const cols = module.shape[1]
    const found = inputsOf(imatrix, module.layer === undefined ? [first, 'output.weight'] : [first])
    if (!found) {
      if (module.layer === undefined) continue
      throw other(path, `it has nothing of ${first}`)
    }
    const { meanSquares } = found
    const isStack = stored.inStack !== undefined && meanSquares.length === stored.inStack.shape[0] * cols
    if (meanSquares.length !== cols && !isStack)
      throw other(path, `${first} has ${meanSquares.length} inputs there and ${cols} here`)
    const from = isStack ? stored.inStack!.expert * cols : 0
    const own = meanSquares.slice(from, from + cols)
    const isTiled = stored.tiled?.axis === 'columns'
    diagonals.set(module.name, isTiled ? ggufValues({ ...stored, interleavedHeads: 0 }, own, 1, 'from') : own)
  }
  const digest = createHash('sha256')
  for (const [module, values] of diagonals) digest.update(module).update(values)
  return {
    source: basename(path),
    digest: digest.digest('hex').slice(0, 16),
    hessian({ name, shape: [, cols] }) {
      const hessian = zeroMatrix(cols, cols)
      const diagonal = diagonals.get(name)
      // rounding divides by it
      const least = diagonal ? (1e-6 * diagonal.reduce((sum, v) => sum + v, 0)) / cols : 0
      for (let c = 0; c < cols; c++) hessian.data[c * (cols + 1)] = diagonal ? diagonal[c] + least : 1
      return hessian
    },
  }
}

const inputsOf = ({ tensors }: Imatrix, names: readonly string[]) =>
  names.map(name => tensors.get(name)).find(found => found !== undefined)

const other = (path: string, what: string) =>
  new ReallmError('bad-file', `${path} is an importance matrix of another model: ${what}`, {
    hint: 'measure one with this model: reallm imatrix',
  })
