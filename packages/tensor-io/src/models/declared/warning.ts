import { listed } from '../../core/listed.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { plainName } from '../plain-name.ts'

export interface NotUsed {
  /** What the multimodal model is called whose text decoder is opened. */
  readonly wrapper: string | undefined
  /** What the configuration says that nothing reads, in phrases. */
  readonly unknown: readonly string[]
  /** Stored tensors that the model does not use. */
  readonly unused: readonly string[]
}

/** One line about all that a model's files hold and say and nothing uses; undefined where there is nothing. */
export function warningOf(
  { spec, warnings = [] }: ModelFiles,
  { wrapper, unknown, unused }: NotUsed,
): string | undefined {
  const tensors = unused.length === 1 ? 'the tensor' : `${unused.length} tensors,`
  const names = wrapper === undefined ? listed(unused) : partsOf(unused)
  const phrases = [...unknown, ...(unused.length > 0 ? [`${tensors} ${names}`] : [])]
  const opened = wrapper === undefined ? [] : [`a ${wrapper}, opened as its text decoder`]
  const sentences = [
    ...warnings,
    ...opened,
    ...(phrases.length > 0 ? [`not used: ${phrases.join('; ')}`] : []),
  ]
  return sentences.length > 0 ? `${spec}: ${sentences.join('; ')}` : undefined
}

/** The parts of a model that tensors lie in, with how many lie there. */
function partsOf(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) {
    const part = plainName(name)
      .replace(/^model\./, '')
      .split('.')[0]
    counts.set(part, (counts.get(part) ?? 0) + 1)
  }
  return [...counts].map(([part, count]) => `${count} of ${part}`).join(', ')
}
