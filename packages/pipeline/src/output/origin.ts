import type { ModelFiles } from '@reallm/tensor-io'
import { basename } from '#platform'

/** Where a model comes from, as model cards say it. */
export interface Origin {
  /** Name on the hub, or of its file or directory. */
  readonly base: string
  /** What a command takes for it; of a local model its name alone. */
  readonly spec: string
  /** As the original's card or metadata write it. */
  readonly licence?: string | undefined
}

/** What a model says of itself. */
export async function originOf(files: ModelFiles): Promise<Origin> {
  const spec = /^(hf|npm):/.test(files.spec) ? files.spec : basename(files.spec)
  const base = spec.replace(/^hf:/, '')
  if (files.kind === 'gguf') {
    const licence = files.metadata['general.license']
    return { base, spec, licence: typeof licence === 'string' ? licence : undefined }
  }
  if (!files.files.includes('README.md')) return { base, spec }
  const card = new TextDecoder().decode(await files.readFile('README.md'))
  const front = /^---\r?\n(.*?)\n---/s.exec(card)?.[1] ?? ''
  return { base, spec, licence: /^license: *["']?([\w.-]+)/m.exec(front)?.[1] }
}

/** The beginning of a model card: its front matter. */
export const frontMatter = (
  { base, licence }: Origin,
  library: 'reallm' | 'peft',
  tags: readonly string[],
): string => `---
library_name: ${library}
base_model: ${base}
${licence === undefined ? '' : `license: ${licence}\n`}tags: [${['reallm', ...tags].join(', ')}]
---`
