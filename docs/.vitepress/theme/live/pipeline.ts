/** What of @reallm/pipeline needs no file system. */
export { allocate, frontier } from '../../../../packages/pipeline/src/allocate.ts'
export * from '../../../../packages/pipeline/src/wrappers/index.ts'
