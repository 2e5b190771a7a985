export {
  type AdditiveMatrix,
  type TuneCodebooksOptions,
  type TunedCodebooks,
  tuneCodebooks,
} from './tune-codebooks.ts'
