export { autoencoder } from './codec.ts'
export { type NervParams, nervParams } from './params.ts'
