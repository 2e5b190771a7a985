export { type AtomicFile, createAtomicFile, writeFileAtomic } from './atomic-file.ts'
export { openFileSource } from './file-source.ts'
export { type ByteSource, blobSource, bytesSource, type ReadOptions, readAll } from './source.ts'
export { openUrlSource, type UrlOptions } from './url-source.ts'
