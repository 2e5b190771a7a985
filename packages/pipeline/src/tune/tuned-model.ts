import { withRowScales } from '@reallm/finetune'
import {
  bitsOf,
  type MatrixShape,
  prefixed,
  type StorageCost,
  sizeOf,
  type Tensor,
  toFloat32,
} from '@reallm/tensor-io'
import { rowScaledLayout } from '@reallm/tensor-io/layouts'
import { type Key, mappedKey } from '../checkpoint/keys.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'

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

/** Few bits are enough: factors differ by some per cent, and a matrix's own error is larger. */
const bits = 4

/** What a factor on each row of a matrix takes. */
const scalesCost = (shape: MatrixShape): StorageCost => rowScaledLayout.parts(shape, { bits })

/** What a matrix takes with a trained factor on each of its rows. */
export const tunedCost = (cost: StorageCost, shape: MatrixShape): StorageCost => ({
  ...scalesCost(shape),
  ...prefixed(cost),
})

/** A quantised model with trained parts in place. */
export const tunedModel = (quantised: QuantisedModel, { rowScales, norms }: TunedParts): QuantisedModel => ({
  modules: quantised.modules,
  reports: quantised.reports.map(report => {
    if (!rowScales.has(report.name)) return report
    const bytes = report.bytes + bitsOf(scalesCost(report.shape)) / 8
    return { ...report, bytes, bits: (8 * bytes) / sizeOf(report.shape) }
  }),
  async matrix(module) {
    const stored = await quantised.matrix(module)
    const scales = rowScales.get(module.name)
    return scales ? withRowScales(stored, toFloat32(scales), bits) : stored
  },
  norms: async () => new Map([...(await quantised.norms()), ...norms]),
})
