export * from './check-parts.ts'
export * from './codec.ts'
export * from './define-codec.ts'
export * from './registry.ts'
