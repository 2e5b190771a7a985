export { onebit } from './codec.ts'
export { type OneBit, oneBit } from './one-bit.ts'
export { type SignValue, svid } from './svid.ts'
