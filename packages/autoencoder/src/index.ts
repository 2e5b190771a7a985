export * from './implicit/index.ts'
export * from './nerv/index.ts'
