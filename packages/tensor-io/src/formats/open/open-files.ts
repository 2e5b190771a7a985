import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { type NamedSource, sourcesDirectory } from './directory.ts'
import { openDirectory } from './open-directory.ts'

/**
 * Opens a model from files in hand, for example dropped on a page: a GGUF or safetensors file alone, or the
 * files of a model directory.
 *
 * @example
 * input.onchange = async () => {
 *   const files = [...input.files].map(file => ({ name: file.name, source: blobSource(file.name, file) }))
 *   const model = await openFiles(files)
 * }
 */
export function openFiles(files: readonly NamedSource[], options: OpenOptions = {}): Promise<ModelFiles> {
  const dir = sourcesDirectory('the files', files)
  return openDirectory(dir, files.length === 1 ? files[0].name : 'the files', options)
}
