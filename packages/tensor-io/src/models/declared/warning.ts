import { listed } from '../../core/listed.ts'
import type { ModelFiles } from '../../formats/model-files.ts'

/** One line about all that a model's files hold and say and nothing uses; undefined where there is nothing. */
export function warningOf(
  { spec, warnings = [] }: ModelFiles,
  unknown: readonly string[],
  unused: readonly string[],
): string | undefined {
  const tensors = unused.length === 1 ? 'the tensor' : `${unused.length} tensors,`
  const phrases = [...unknown, ...(unused.length > 0 ? [`${tensors} ${listed(unused)}`] : [])]
  const sentences = [...warnings, ...(phrases.length > 0 ? [`not used: ${phrases.join('; ')}`] : [])]
  return sentences.length > 0 ? `${spec}: ${sentences.join('; ')}` : undefined
}
