export { type GgufFile, openGguf } from './open.ts'
