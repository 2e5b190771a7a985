export { type DataFile, type Example, openData, type Piece } from './examples.ts'
export { type DataOptions, readSequences, type SequenceOptions, type SplitSequences } from './sequences.ts'
export { type Tokens, tokenise } from './tokenise.ts'
