import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { fileError, hasNode, nodeModule, pageRoot } from '../source/node.ts'
import { diskDirectory } from './directory.ts'
import { openDirectory } from './open-directory.ts'
import { openUrl } from './open-url.ts'
import { pickleHint } from './pickle-hint.ts'

/**
 * Opens a model wherever it lives: a Hugging Face directory, an artifact, a `.safetensors` or `.gguf` file, an
 * `http(s)` URL of one of these, `hf:owner/name[@revision][/file]` (downloaded once) or `npm:name[@version]`
 * (installed, or served below `options.base`). Only headers are read; tensors when asked for.
 *
 * Throws `not-found` when there is none, `bad-file` when what is there is damaged.
 *
 * @example
 * const model = await openModel('hf:HuggingFaceTB/SmolLM2-135M-Instruct')
 * const embedding = await model.readFloat32('model.embed_tokens.weight', [0, 10])    // F32 [10, 576]
 * await model.close()
 */
export async function openModel(spec: string, options: OpenOptions = {}): Promise<ModelFiles> {
  if (/^https?:/.test(spec)) return openUrl(spec, options)
  if (spec.startsWith('hf:')) {
    const { openHub } = await import('./open-hub.ts')
    return openHub(spec, options)
  }
  if (spec.startsWith('npm:')) {
    const { openNpm } = await import('./open-npm.ts')
    return openNpm(spec, options)
  }
  if (hasNode() || spec.startsWith(pageRoot)) return openPath(spec, options)
  return openUrl(new URL(spec, globalThis.location.href).href, options)
}

async function openPath(spec: string, options: OpenOptions): Promise<ModelFiles> {
  const path = spec.startsWith('file:') ? nodeModule('url').fileURLToPath(spec) : spec
  const stat = await nodeModule('fs/promises')
    .stat(path)
    .catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' || cause.code === 'ENOTDIR'
        ? noSuchModel(spec)
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

const noSuchModel = (spec: string) =>
  new ReallmError('not-found', `${spec}: no such file or directory`, {
    hint: /^[\w.-]+\/[\w.-]+$/.test(spec)
      ? `a model of the Hugging Face hub is written hf:${spec}`
      : 'a model is a directory, a .safetensors or .gguf file, hf:owner/name, npm:name or an http(s) URL',
  })
