import { type EncodedMatrix, type Matrix, type Registry, readArtifact, tensor } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { isRowScaled, rowScalesOf } from './lowrank/row-scaled.ts'
import type { Factors } from './lowrank/trainable.ts'

/** How an artifact stores low-rank parts; `@reallm/lowrank` has both functions. */
export interface FactorStore {
  /** The factors of a stored matrix that has some (`inner` is the rest of it). */
  factorsOf(e: EncodedMatrix): Factors | undefined
  /** The stored matrix with these factors on `bits` bits in place of its own. */
  withFactors(e: EncodedMatrix, factors: Factors, bits: number): EncodedMatrix
}

/** A compressed model split into frozen weights and the parts that training starts from. */
export interface Student {
  /** Reads the frozen weights: without the artifact's own low-rank parts and row factors. */
  readonly model: ModelWeights
  readonly start: ReadonlyMap<string, Factors>
  readonly rowScales: ReadonlyMap<string, Float32Array>
}

/** Takes the trainable parts off an artifact, so that they can be trained on and put back. */
export async function takeApart(
  model: ModelWeights,
  registry: Registry,
  store: FactorStore,
): Promise<Student> {
  const { modules, readEncoded } = readArtifact(model.files)
  const start = new Map<string, Factors>()
  const rowScales = new Map<string, Float32Array>()
  for (const name of modules.keys()) {
    const stored = await readEncoded(name)
    if (isRowScaled(stored)) rowScales.set(name, rowScalesOf(stored))
    const factors = store.factorsOf(withoutRowScales(stored))
    if (factors && factors.right.rows > 0) start.set(name, factors)
  }
  let kept: { readonly name: string; readonly matrix: Matrix } | undefined
  return {
    start,
    rowScales,
    model: {
      ...model,
      async read(name, rows) {
        const module = name.replace(/\.weight$/, '')
        if (!start.has(module) && !rowScales.has(module)) return model.read(name, rows)
        if (kept?.name !== name) {
          const scaled = withoutRowScales(await readEncoded(module))
          kept = { name, matrix: registry.decode(start.has(module) ? scaled.inner! : scaled) }
        }
        const { matrix } = kept
        const [from, to] = rows ?? [0, matrix.rows]
        const data = matrix.data.slice(from * matrix.cols, to * matrix.cols)
        return tensor('F32', [to - from, matrix.cols], data as Float32Array<ArrayBuffer>)
      },
    },
  }
}

/** The stored matrix under its row factors. */
export const withoutRowScales = (e: EncodedMatrix): EncodedMatrix => (isRowScaled(e) ? e.inner! : e)
