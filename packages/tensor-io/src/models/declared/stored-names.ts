import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { plainName } from '../plain-name.ts'

const head = 'lm_head.weight'
const embedding = 'model.embed_tokens.weight'

/**
 * Finds the stored name of each tensor of a model: its own, or the only one that means the same (see `plainName`); of a
 * tied embedding that was saved as the head, that of the head. GGUF files and artifacts have their own names.
 *
 * @param tied the embedding is the output head
 * @throws `bad-file` for a tensor that is there under several names
 */
export function storedNames(
  { spec, kind, tensors }: ModelFiles,
  { tied = false }: { readonly tied?: boolean } = {},
): (name: string) => string {
  if (kind === 'gguf' || kind === 'artifact') return name => name
  const stored = new Map<string, string[]>()
  for (const name of tensors.keys()) {
    const plain = plainName(name)
    stored.set(plain, [...(stored.get(plain) ?? []), name])
  }
  const asHead = tied && !stored.has(embedding) && stored.has(head)
  return name => {
    const [first = name, second] = stored.get(asHead && name === embedding ? head : name) ?? []
    if (second === undefined) return first
    throw new ReallmError('bad-file', `${spec}: ${name} is stored twice, as ${first} and as ${second}`, {
      hint: 'save the one that is meant alone',
    })
  }
}
