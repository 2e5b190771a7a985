import { withRowScales } from '@reallm/finetune'
import { prefixed, type StorageCost, sizeOf, type Tensor, toFloat32 } from '@reallm/tensor-io'
import { type Key, mappedKey } from '../checkpoint/keys.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'

/** What training changes of a quantised model. */
export interface TunedParts {
  /** A factor for each row of a stored matrix, F16 `[out]`, by module. */
  readonly rowScales: ReadonlyMap<string, Tensor>
  /** Norms by the names of their tensors. */
  readonly norms: ReadonlyMap<string, Tensor>
}

const SCALES = ':row_scale'

export const tunedPartsKey: Key<TunedParts> = mappedKey(
  'tuned/model.safetensors',
  ({ rowScales, norms }) =>
    Object.fromEntries([...[...rowScales].map(([name, t]) => [`${name}${SCALES}`, t] as const), ...norms]),
  tensors => {
    const all = Object.entries(tensors)
    const ofRows = all.filter(([name]) => name.endsWith(SCALES))
    return {
      rowScales: new Map(ofRows.map(([name, t]) => [name.slice(0, -SCALES.length), t])),
      norms: new Map(all.filter(([name]) => !name.endsWith(SCALES))),
    }
  },
)

/** What a matrix of `rows` rows takes with a trained factor on each of them. */
export const tunedCost = (cost: StorageCost, rows: number): StorageCost => ({
  row_scale: { dtype: 'F16', shape: [rows] },
  ...prefixed(cost),
})

/** A quantised model with trained parts in place. */
export const tunedModel = (quantised: QuantisedModel, { rowScales, norms }: TunedParts): QuantisedModel => ({
  modules: quantised.modules,
  reports: quantised.reports.map(report => {
    const scales = rowScales.get(report.name)
    if (!scales) return report
    const bytes = report.bytes + 2 * sizeOf(scales.shape)
    return { ...report, bytes, bits: (8 * bytes) / sizeOf(report.shape) }
  }),
  async matrix(module) {
    const stored = await quantised.matrix(module)
    const scales = rowScales.get(module.name)
    return scales ? withRowScales(stored, toFloat32(scales)) : stored
  },
  norms: async () => new Map([...(await quantised.norms()), ...norms]),
})
