import { bitsOf, SMALLEST_SHARED, type StorageCost } from '@reallm/tensor-io'
import { sharingKey } from '../encoder/shared-decoders.ts'
import type { MatrixModule, ModelParts } from '../open/model-parts.ts'
import type { Configuration } from '../recipes/configuration.ts'
import { configurationsFor } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'
import { tunedCost } from '../tune/tuned-cost.ts'
import type { StoredSizes } from './stored-sizes.ts'

/** A configuration of a matrix with its exact size. */
interface SizedConfiguration {
  readonly configuration: Configuration
  /** Header entries included, without what it shares with other matrices. */
  readonly bytes: number
  /** Present where it shares a decoder: under which key `sharedBytes` has its size. */
  readonly sharing?: { readonly key: string; readonly includes: (part: string) => boolean }
}

/** The configurations of all matrices with their sizes: what every budget is split over. */
export interface ConfigurationTable {
  readonly parts: ModelParts
  /** By matrix, in the order of `parts.matrices`. */
  readonly configurations: readonly (readonly SizedConfiguration[])[]
  /** Bytes of decoders that an artifact holds once, whoever uses them. */
  readonly sharedBytes: ReadonlyMap<string, number>
  /** Indices of matrices that get configurations of the same rank in size. */
  readonly groups: readonly (readonly number[])[]
  /** Bytes that are stored in any case: norms, biases, the head of the file. */
  readonly fixedBytes: number
}

/** Sizes of all configurations of a model's matrices, to the byte. */
export function listConfigurations(
  parts: ModelParts,
  sizes: StoredSizes,
  { recipe, effort, tune }: Settings,
): ConfigurationTable {
  const sharedBytes = new Map<string, number>()
  const configurations = parts.matrices.map(module =>
    configurationsFor(recipe, module, effort).map(each =>
      sized(
        module,
        each,
        tune && module.layer !== undefined ? tunedSizes(sizes, module) : sizes,
        sharedBytes,
      ),
    ),
  )
  const groups =
    recipe.allocate === 'uniform'
      ? uniformGroups(parts, configurations)
      : groupsBy(parts, ({ name }) => sizes.stackOf?.(name) ?? name)
  return { parts, configurations, sharedBytes, groups, fixedBytes: sizes.fixedBytes }
}

/** Sizes of a matrix that gets a trained factor on each row. */
const tunedSizes = (sizes: StoredSizes, { shape }: MatrixModule): StoredSizes => ({
  ...sizes,
  storedBytes: (name, cost) => sizes.storedBytes(name, tunedCost(cost, shape)),
})

function sized(
  module: MatrixModule,
  configuration: Configuration,
  { storedBytes }: StoredSizes,
  sharedBytes: Map<string, number>,
): SizedConfiguration {
  const cost = configuration.cost(module.shape)
  const { shared } = configuration
  if (!shared) return { configuration, bytes: storedBytes(module.name, cost) }
  // Small tensors are stored by each matrix even where they are equal.
  const includes = (part: string) =>
    shared.includes(part) && bitsOf({ part: cost[part] }) / 8 >= SMALLEST_SHARED
  const key = sharingKey(module, configuration)
  const bytes = storedBytes(module.name, costOf(cost, includes))
  sharedBytes.set(key, Math.max(sharedBytes.get(key) ?? 0, bytes))
  const own = costOf(cost, part => !includes(part))
  return { configuration, bytes: storedBytes(module.name, own), sharing: { key, includes } }
}

/** The layers' matrices that have equally many configurations together, every other one by itself. */
const uniformGroups = (parts: ModelParts, configurations: ConfigurationTable['configurations']): number[][] =>
  groupsBy(parts, ({ name, layer }, i) =>
    layer === undefined ? name : `${configurations[i].length} configurations`,
  )

/** Indices of matrices with the same key. */
function groupsBy({ matrices }: ModelParts, key: (module: MatrixModule, i: number) => string): number[][] {
  const groups = new Map<string, number[]>()
  for (const [i, module] of matrices.entries()) {
    const group = groups.get(key(module, i)) ?? []
    groups.set(key(module, i), group)
    group.push(i)
  }
  return [...groups.values()]
}

const costOf = (cost: StorageCost, wanted: (part: string) => boolean): StorageCost =>
  Object.fromEntries(Object.entries(cost).filter(([part]) => wanted(part)))
