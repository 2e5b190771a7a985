import { ReallmError } from '../../core/errors.ts'
import { openPart } from '../source/open-part.ts'
import type { ByteSource } from '../source/source.ts'
import { findTensor } from '../store.ts'
import { type GgufFile, type GgufOptions, openGguf, openGgufPart } from './open.ts'
import { partNames } from './part-names.ts'

/**
 * Opens a GGUF file by its name; that of a part of a split one opens all parts as one, with the metadata of the first.
 *
 * @throws `not-found` naming a part that is missing; `bad-file` for parts that do not belong together
 */
export async function openGgufNamed(
  name: string,
  open: (name: string) => Promise<ByteSource>,
  options: GgufOptions = {},
): Promise<GgufFile> {
  const names = partNames(name)
  if (!names || names.length === 1) return openGguf(await open(name), options)
  const parts: GgufFile[] = []
  const close = async () => {
    for (const part of parts) await part.close()
  }
  try {
    for (const [i, name] of names.entries()) {
      const part = await openGgufPart(await openPart(names[0], name, open), options)
      parts.push(part)
      const { 'split.no': number, 'split.count': count } = part.metadata
      if (number !== i || count !== names.length) {
        throw refuse(`${name}: it says to be part ${Number(number) + 1} of ${count}`)
      }
    }
    const homes = new Map(parts.flatMap(part => [...part.tensors.keys()].map(tensor => [tensor, part])))
    const found = parts.reduce((sum, part) => sum + part.tensors.size, 0)
    if (homes.size !== found) throw refuse(`${names[0]}: a tensor is in two of its ${names.length} parts`)
    const wanted = parts[0].metadata['split.tensors.count'] ?? found
    if (wanted !== found)
      throw refuse(`${names[0]}: its parts hold ${found} tensors, they should hold ${wanted}`)
    const home = (tensor: string) => findTensor(homes, tensor, names[0])
    return {
      ...parts[0],
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      tensors: new Map(parts.flatMap(part => [...part.tensors])),
      read: async (tensor, rows) => home(tensor).read(tensor, rows),
      readBlocks: async (tensor, rows) => home(tensor).readBlocks(tensor, rows),
      readFloat32: async (tensor, rows) => home(tensor).readFloat32(tensor, rows),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

const refuse = (what: string) =>
  new ReallmError('bad-file', what, { hint: 'the parts do not belong together: download them again' })
