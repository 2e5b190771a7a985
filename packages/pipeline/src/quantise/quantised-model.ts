import type { EncodedMatrix, Tensor } from '@reallm/tensor-io'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { MatrixReport } from '../output/report.ts'
import type { QuantisedMatrices } from './quantised-matrices.ts'
import { tunedLayerKey } from './tuned-layer.ts'

/** A model whose matrices are all stored. */
export interface QuantisedModel {
  readonly modules: readonly MatrixModule[]
  readonly reports: readonly MatrixReport[]
  /** A stored matrix, with what training its layer changed. */
  matrix(module: MatrixModule): Promise<EncodedMatrix>
  /** Norms that training changed, by the names of their tensors. */
  norms(): Promise<ReadonlyMap<string, Tensor>>
}

/** Reads a finished quantisation from its checkpoint. */
export function quantisedModel(
  modules: readonly MatrixModule[],
  matrices: QuantisedMatrices,
  checkpoint: Checkpoint,
): QuantisedModel {
  const layers = [...new Set(modules.flatMap(({ layer }) => layer ?? []))]
  return {
    modules,
    reports: modules.map(({ name }) => matrices.reports.get(name)!),
    async matrix({ name, layer }) {
      const encoded = await matrices.encoded(name)
      const tuned = layer === undefined ? undefined : await checkpoint.get(tunedLayerKey(layer))
      return { ...encoded, parts: { ...encoded.parts, ...tuned?.parts.get(name) } }
    },
    async norms() {
      const norms = new Map<string, Tensor>()
      for (const layer of layers) {
        const tuned = await checkpoint.get(tunedLayerKey(layer))
        for (const [name, norm] of tuned?.norms ?? []) norms.set(name, norm)
      }
      return norms
    },
  }
}
