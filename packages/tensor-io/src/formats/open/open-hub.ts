import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { hasNode } from '../source/node.ts'
import { diskDirectory } from './disk-directory.ts'
import { openDirectory } from './open-directory.ts'
import { openUrl } from './open-url.ts'
import { parseHubSpec } from './parse-hub-spec.ts'

/** Downloads a model of the Hugging Face hub to its cache (in a page: reads it in place) and opens it. */
export async function openHub(spec: string, options: OpenOptions): Promise<ModelFiles> {
  const { repo, revision, file } = parseHubSpec(spec)
  if (!hasNode()) {
    const hub = options.hubUrl ?? 'https://huggingface.co'
    return openUrl(`${hub}/${repo}/resolve/${revision}/${file ?? ''}`, options)
  }
  const { downloadModel } = await import('./download-model.ts')
  const folder = await downloadModel({ repo, revision, file }, options)
  const slash = (file ?? '').lastIndexOf('/')
  const directory = slash < 0 ? folder : `${folder}/${file!.slice(0, slash)}`
  return openDirectory(await diskDirectory(directory), spec, options, file?.slice(slash + 1))
}
