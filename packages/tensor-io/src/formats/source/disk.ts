// Sources and files on disk. A barrel of their own: bundles of pages hold what the one of `index.ts` names.
export { type AtomicFile, createAtomicFile, writeFileAtomic } from './atomic-file.ts'
export { fileError } from './file-error.ts'
export { openFileSource } from './file-source.ts'
export { makeFolder } from './make-folder.ts'
