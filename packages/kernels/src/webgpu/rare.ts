export * from './rare-steps.ts'
export * from './recurrent.ts'
export * from './routing.ts'
export * from './square-sums.ts'
