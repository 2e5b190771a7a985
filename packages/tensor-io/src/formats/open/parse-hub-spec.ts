import { ReallmError } from '../../core/errors.ts'

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
