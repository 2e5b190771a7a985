import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { plainName } from '../plain-name.ts'

/**
 * Finds the stored name of each tensor of a model: its own, or the only one that means the same (see `plainName`). GGUF
 * files and artifacts have their own names.
 *
 * @throws `bad-file` for a tensor that is there under several names
 */
export function storedNames({ spec, kind, tensors }: ModelFiles): (name: string) => string {
  if (kind === 'gguf' || kind === 'artifact') return name => name
  const stored = new Map<string, string[]>()
  for (const name of tensors.keys()) {
    const plain = plainName(name)
    stored.set(plain, [...(stored.get(plain) ?? []), name])
  }
  return name => {
    const [first = name, second] = stored.get(name) ?? []
    if (second === undefined) return first
    throw new ReallmError('bad-file', `${spec}: ${name} is stored twice, as ${first} and as ${second}`, {
      hint: 'save the one that is meant alone',
    })
  }
}
