import { squaredNorm } from '@reallm/kernels'
import { throwIfAborted } from '@reallm/tensor-io'
import type { Importance } from '../calibrate/importance.ts'
import type { MatrixStatistics } from '../calibrate/matrix-statistics.ts'
import { finiteChunks } from '../open/finite-chunks.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { Settings } from '../settings.ts'

/**
 * What an importance matrix tells of a model's matrices, a layer at a time. It knows no gradients: all matrices count by their
 * relative squared error of outputs.
 */
export async function* statisticsFromImportance(
  { weights, parts }: OpenedModel,
  importance: Importance,
  { signal, onProgress }: Settings,
): AsyncGenerator<readonly MatrixStatistics[]> {
  const layers = [...new Set(parts.matrices.map(({ layer }) => layer))]
  for (const [done, layer] of layers.entries()) {
    const found: MatrixStatistics[] = []
    for (const module of parts.matrices.filter(m => m.layer === layer)) {
      throwIfAborted(signal)
      const hessian = importance.hessian(module)
      const { name, shape } = module
      let output = 0
      for await (const { data } of finiteChunks(weights, `${name}.weight`, shape, { signal })) {
        output += squaredNorm({ rows: data.length / shape[1], cols: shape[1], data }, { hessian })
      }
      const hessians = { rounding: hessian, measuring: hessian }
      found.push({ module, hessians, gradient: 1 / Math.max(output, 1e-30) })
    }
    yield found
    const name = layer === undefined ? 'embedding' : `layer ${layer}`
    onProgress?.({ event: 'calibration-end', name, done: done + 1, total: layers.length })
  }
}
