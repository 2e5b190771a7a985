export { romRank } from '@reallm/tensor-io/layouts'
export { type RomParams, romCodec } from './codec.ts'
export { rom } from './rom.ts'
