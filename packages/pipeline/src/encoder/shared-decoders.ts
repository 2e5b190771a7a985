import { seedFor } from '@reallm/tensor-io'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { readMatrix } from '../open/read-matrix.ts'
import type { Configuration, SharedTensors } from '../recipes/configuration.ts'
import type { Settings } from '../settings.ts'
import { adjacentRows } from './row-sample.ts'

/** Decoders that matrices share, each fitted when it is first asked for. */
export interface SharedDecoders {
  /** The decoder of a configuration for a matrix; undefined where it shares none. */
  of(module: MatrixModule, configuration: Configuration): Promise<SharedTensors | undefined>
}

/** Rows that a fit sees in all, spread evenly over the group, in whole tiles. */
const groupRows = 512
const tileRows = 16

/**
 * Fits decoders to groups of like matrices: those of a kind, in all layers. What is fitted depends on the weights, the
 * recipe and the seed only, so that a resumed run finds the same.
 */
export function sharedDecoders(
  { weights, parts }: OpenedModel,
  { seed, signal, onProgress }: Settings,
): SharedDecoders {
  const fits = new Map<string, Promise<SharedTensors>>()
  const fit = async (module: MatrixModule, configuration: Configuration, key: string) => {
    const members = parts.matrices.filter(m => m.kind === module.kind)
    const rows = tileRows * Math.ceil(groupRows / members.length / tileRows)
    const group = []
    for (const { name } of members)
      group.push(adjacentRows(await readMatrix(weights, `${name}.weight`), rows))
    return configuration.shared!.fit(group, { signal, onProgress, seed: seedFor(seed, key) })
  }
  return {
    async of(module, configuration) {
      if (!configuration.shared) return undefined
      const key = sharingKey(module, configuration)
      const found = fits.get(key) ?? fit(module, configuration, key)
      fits.set(key, found)
      return found
    },
  }
}

/** Matrices whose configurations have the same key share a decoder. */
export const sharingKey = ({ kind }: MatrixModule, { id }: Configuration): string => `${kind} ${id}`
