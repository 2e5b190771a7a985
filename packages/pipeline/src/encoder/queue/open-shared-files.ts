import { directoryFiles } from './directory-files.ts'
import { s3Files } from './s3-files.ts'
import type { SharedFiles } from './shared-files.ts'

/** What `--shared` names: a directory, or `s3://bucket/prefix`. */
export const openSharedFiles = (where: string): Promise<SharedFiles> =>
  where.startsWith('s3://') ? s3Files(where) : directoryFiles(where)
