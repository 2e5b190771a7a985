export { type Fetched, fetchRange, type UrlOptions, type Version } from './fetch-range.ts'
export { type PageFiles, usePageFiles } from './page-files.ts'
export { type ByteSource, blobSource, bytesSource, type ReadOptions, readAll } from './source.ts'
export { openUrlSource } from './url-source.ts'
