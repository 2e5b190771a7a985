export * from '@reallm/pipeline'
export { type Chat, type LoadedModel, type LoadOptions, load } from './load.ts'
