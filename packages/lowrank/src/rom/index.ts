export { type RomParams, romCodec } from './codec.ts'
export { rom, romRank } from './rom.ts'
