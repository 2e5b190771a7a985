export { type Monarch, type MonarchShape, monarchBlocks } from '@reallm/tensor-io/layouts'
export {
  type MonarchParams,
  monarchCodec,
  monarchOf,
  monarchResidual,
  type PlusMonarchOptions,
  type PlusMonarchParams,
  plusMonarch,
} from './codec.ts'
export { applyMonarch, type MonarchOptions, monarch, monarchToDense } from './monarch.ts'
