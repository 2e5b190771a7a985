export type { NamedSource } from './directory.ts'
export { openFiles } from './open-files.ts'
export { openModel } from './open-model.ts'
export { openUrl } from './open-url.ts'
