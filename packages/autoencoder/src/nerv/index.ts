export {
  autoencoder,
  autoencoderWith,
  encodeGroup,
  fitDecoder,
  type GroupContext,
  type SharedDecoder,
  sharedParts,
} from './codec.ts'
export { type NervInput, type NervParams, nervParams } from './params.ts'
export { type SearchResult, searchShape, shapesAt } from './search.ts'
