import type { ModelFiles } from '@reallm/tensor-io'
import { basename } from '#platform'

/** Where a model comes from, as model cards say it. */
export interface Origin {
  /** Name on the hub, or of its file or directory. */
  readonly base: string
  /** As the original's card or metadata write it. */
  readonly licence?: string | undefined
}

/** What a model says of itself. */
export async function originOf(files: ModelFiles): Promise<Origin> {
  const { spec } = files
  const base = /^(hf|npm):/.test(spec) ? spec.replace(/^hf:/, '') : basename(spec)
  if (files.kind === 'gguf') {
    const licence = files.metadata['general.license']
    return { base, licence: typeof licence === 'string' ? licence : undefined }
  }
  if (!files.files.includes('README.md')) return { base }
  const card = new TextDecoder().decode(await files.readFile('README.md'))
  const front = /^---\r?\n(.*?)\n---/s.exec(card)?.[1] ?? ''
  return { base, licence: /^license: *["']?([\w.-]+)/m.exec(front)?.[1] }
}

/** The beginning of a model card: its front matter. */
export const frontMatter = ({ base, licence }: Origin, tags: readonly string[]): string => `---
library_name: reallm
base_model: ${base}
${licence === undefined ? '' : `license: ${licence}\n`}tags: [${['reallm', ...tags].join(', ')}]
---`
