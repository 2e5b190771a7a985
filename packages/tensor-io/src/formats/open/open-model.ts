import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { hasNode, pageRoot } from '../source/node.ts'
import { openUrl } from './open-url.ts'

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
  if (hasNode() || spec.startsWith(pageRoot)) {
    const { openPath } = await import('./open-path.ts')
    return openPath(spec, options)
  }
  return openUrl(new URL(spec, globalThis.location.href).href, options)
}
