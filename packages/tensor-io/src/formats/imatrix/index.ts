export type { Imatrix, InputSquares } from './imatrix.ts'
export { readImatrix } from './read-imatrix.ts'
export { writeImatrix } from './write-imatrix.ts'
