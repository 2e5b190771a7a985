export { type DataFile, type Example, openData, type Piece } from './examples.ts'
export { type Tokens, tokenise } from './tokenise.ts'
export { type DataOptions, readWindows, type SplitWindows, type WindowOptions } from './windows.ts'
