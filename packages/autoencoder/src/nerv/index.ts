export { autoencoder, encodeGroup, type GroupContext } from './codec.ts'
export { type NervInput, type NervParams, nervParams } from './params.ts'
export { type SearchResult, searchShape, shapesAt } from './search.ts'
