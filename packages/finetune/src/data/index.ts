export { type Example, parseExamples } from './examples.ts'
export { tokenise } from './tokenise.ts'
export { type SplitWindows, splitWindows, type WindowOptions } from './windows.ts'
