/** What of @reallm/pipeline needs no file system. */
export { allocate, frontier } from '../../../../packages/pipeline/src/allocate/knapsack.ts'
