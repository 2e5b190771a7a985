export {
  autoencoder,
  autoencoderWith,
  encodeGroup,
  fitDecoder,
  type GroupContext,
  type NervInput,
  type NervParams,
  type SharedDecoder,
  sharedParts,
} from './codec.ts'
export { type SearchResult, searchShape, shapesAt } from './search.ts'
