export { applyTernary, type TernaryParams, ternaryCodec } from './codec.ts'
export { type TernaryOptions, ternary, ternaryMatrix } from './ternary.ts'
