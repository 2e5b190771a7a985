export {
  type MonarchParams,
  monarchCodec,
  monarchOf,
  monarchResidual,
  type PlusMonarchOptions,
  type PlusMonarchParams,
  plusMonarch,
} from './codec.ts'
export {
  applyMonarch,
  type Monarch,
  type MonarchOptions,
  type MonarchShape,
  monarch,
  monarchBlocks,
  monarchToDense,
} from './monarch.ts'
