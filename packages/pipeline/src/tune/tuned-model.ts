import { withRowScales } from '@reallm/finetune'
import { bitsOf, sizeOf, type Tensor, toFloat32 } from '@reallm/tensor-io'
import { type Key, mappedKey } from '../checkpoint/keys.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { rowScalesCost } from './tuned-cost.ts'

/** What training changes of a quantised model. */
export interface TunedParts {
  /** A factor for each row of a stored matrix, F32 `[out]`, by module. */
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

/** A quantised model with trained parts in place. */
export const tunedModel = (quantised: QuantisedModel, { rowScales, norms }: TunedParts): QuantisedModel => ({
  modules: quantised.modules,
  reports: quantised.reports.map(report => {
    if (!rowScales.has(report.name)) return report
    const bytes = report.bytes + bitsOf(rowScalesCost(report.shape)) / 8
    return { ...report, bytes, bits: (8 * bytes) / sizeOf(report.shape) }
  }),
  async matrix(module) {
    const stored = await quantised.matrix(module)
    const scales = rowScales.get(module.name)
    return scales ? withRowScales(stored, toFloat32(scales)) : stored
  },
  norms: async () => new Map([...(await quantised.norms()), ...norms]),
})
