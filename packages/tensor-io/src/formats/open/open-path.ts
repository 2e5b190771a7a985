import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { fileError } from '../source/file-error.ts'
import { nodeModule } from '../source/node.ts'
import { diskDirectory } from './disk-directory.ts'
import { openDirectory } from './open-directory.ts'
import { pickleHint } from './pickle-hint.ts'

/** Opens a directory on disk, or the one that holds the file named. */
export async function openPath(spec: string, options: OpenOptions): Promise<ModelFiles> {
  const path = spec.startsWith('file:') ? nodeModule('url').fileURLToPath(spec) : spec
  const stat = await nodeModule('fs/promises')
    .stat(path)
    .catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' || cause.code === 'ENOTDIR'
        ? nothingAt(spec, options)
        : fileError(cause, spec, 'read')
    })
  if (stat.isDirectory()) return openDirectory(await diskDirectory(path), spec, options)
  const { basename, dirname } = nodeModule('path')
  if (!/\.(gguf|safetensors)$/.test(path)) {
    throw new ReallmError('unsupported', `${spec}: it is neither a .safetensors nor a .gguf file`, {
      hint:
        pickleHint(dirname(path), [basename(path)]) ?? 'name such a file, or the directory with config.json',
    })
  }
  return openDirectory(await diskDirectory(dirname(path)), spec, options, basename(path))
}

const nothingAt = (spec: string, { adapter }: OpenOptions) =>
  new ReallmError('not-found', `${spec}: no such file or directory`, {
    hint: adapter ? adapterHint : modelHint(spec),
  })

const adapterHint = 'an adapter is a directory with adapter_config.json and adapter_model.safetensors'

const modelHint = (spec: string) =>
  /^\w[\w.-]*\/[\w.-]+$/.test(spec)
    ? `a model of the Hugging Face hub is written hf:${spec}`
    : 'a model is a directory, a .safetensors or .gguf file, hf:owner/name, npm:name or an http(s) URL'
