export * from './rare-steps.ts'
export * from './recurrent.ts'
export * from './routing.ts'
