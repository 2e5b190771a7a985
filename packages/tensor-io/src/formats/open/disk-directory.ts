import { onnxFolder, templateFolder } from '../model-files.ts'
import { fileError } from '../source/file-error.ts'
import { openFileSource } from '../source/file-source.ts'
import { nodeModule } from '../source/node.ts'
import type { Directory } from './directory.ts'

/** A directory on disk. */
export async function diskDirectory(path: string): Promise<Directory> {
  const { join } = nodeModule('path')
  try {
    const entries = await nodeModule('fs/promises').readdir(path, { withFileTypes: true })
    const names = entries.filter(entry => !entry.isDirectory()).map(entry => entry.name)
    for (const [folder, isMeant] of Object.entries(known)) {
      if (!entries.some(entry => entry.isDirectory() && entry.name === folder)) continue
      const within = await nodeModule('fs/promises').readdir(join(path, folder))
      names.push(...within.filter(name => isMeant.test(name)).map(name => `${folder}/${name}`))
    }
    return { name: path, names: names.sort(), local: true, open: name => openFileSource(join(path, name)) }
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}

/** Folders that are looked into, and the files in them. */
const known = { [templateFolder]: /\.jinja$/, [onnxFolder]: /\.onnx(_data)?$/ }
