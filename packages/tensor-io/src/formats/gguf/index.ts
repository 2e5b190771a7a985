export {
  aligned as ggufAligned,
  type GgufTensorType,
  layOutGguf,
  type PlannedGgufTensors,
} from './encode-header.ts'
export type { GgufEntry } from './header.ts'
export { type GgufFile, openGguf } from './open.ts'
export type { GgufScalar, GgufValue, GgufValueType } from './values.ts'
export { createGgufWriter, type GgufWriter } from './write.ts'
