import { templateFolder } from '../model-files.ts'
import { openFileSource } from '../source/file-source.ts'
import { fileError, nodeModule } from '../source/node.ts'
import type { Directory } from './directory.ts'

/** A directory on disk. */
export async function diskDirectory(path: string): Promise<Directory> {
  const { join } = nodeModule('path')
  try {
    const entries = await nodeModule('fs/promises').readdir(path, { withFileTypes: true })
    const names = entries.filter(entry => !entry.isDirectory()).map(entry => entry.name)
    if (entries.some(entry => entry.isDirectory() && entry.name === templateFolder)) {
      const templates = await nodeModule('fs/promises').readdir(join(path, templateFolder))
      names.push(...templates.filter(isTemplate).map(name => `${templateFolder}/${name}`))
    }
    return { name: path, names: names.sort(), local: true, open: name => openFileSource(join(path, name)) }
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}

const isTemplate = (name: string): boolean => name.endsWith('.jinja')
