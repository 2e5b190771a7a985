import { openFileSource } from '../source/file-source.ts'
import { fileError, nodeModule } from '../source/node.ts'
import type { Directory } from './directory.ts'

/** A directory on disk. */
export async function diskDirectory(path: string): Promise<Directory> {
  const { join } = nodeModule('path')
  try {
    const entries = await nodeModule('fs/promises').readdir(path, { withFileTypes: true })
    const names = entries.filter(entry => !entry.isDirectory()).map(entry => entry.name)
    return { name: path, names: names.sort(), local: true, open: name => openFileSource(join(path, name)) }
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}
