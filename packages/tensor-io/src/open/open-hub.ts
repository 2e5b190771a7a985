import { ReallmError } from '../errors.ts'
import type { ModelFiles, OpenOptions } from '../model.ts'
import { hasNode } from '../source/node.ts'
import { diskDirectory } from './directory.ts'
import { openDirectory } from './open-directory.ts'
import { openUrl } from './open-url.ts'

/** `hf:owner/name[@revision][/path/to/file]` in its pieces. */
export interface HubSpec {
  readonly repo: string
  readonly revision: string
  /** A `.gguf` or `.safetensors` file in the repository. */
  readonly file: string | undefined
}

/** Takes a hub spec apart; throws `bad-option` when it is none. */
export function parseHubSpec(spec: string): HubSpec {
  const [, repo, revision = 'main', file] =
    /^hf:([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/(.+\.(?:gguf|safetensors)))?$/.exec(spec) ?? []
  if (repo === undefined || file?.split('/').includes('..')) {
    throw new ReallmError('bad-option', `${spec}: that is no model of the hub`, {
      hint: 'write hf:owner/name, hf:owner/name@revision or hf:owner/name/file.gguf',
    })
  }
  return { repo, revision, file }
}

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
