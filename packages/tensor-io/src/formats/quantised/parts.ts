import { ReallmError } from '../../core/errors.ts'
import { tensorBytes } from '../../core/tensor.ts'
import type { TensorInfo, TensorStore } from '../store.ts'

/** The tensors that make up one decoded weight, looked up and checked before anything is read. */
export interface Parts {
  /** What errors call them. */
  readonly where: string
  has(part: string): boolean
  /** @throws `bad-file` when the part is missing, or has another dtype or shape; -1 stands for any length */
  need(part: string, dtypes: readonly string[], shape: readonly number[]): TensorInfo
  /** Of 32 bits each. */
  words(part: string): Promise<Int32Array>
  bytes(part: string): Promise<Uint8Array>
  floats(part: string): Promise<Float32Array<ArrayBuffer>>
  /** Names and bytes of those of some parts that are there. */
  found(parts: readonly string[]): { names: string[]; bytes: number }
}

/** @param prefix what the names of parts have in front */
export function partsOf(where: string, store: TensorStore, prefix: string): Parts {
  const at = (part: string) => store.tensors.get(prefix + part)
  return {
    where: `${where}: ${prefix.replace(/\.$/, '')}`,
    has: part => at(part) !== undefined,
    need(part, dtypes, shape) {
      const info = at(part)
      if (!info)
        throw refuse(`${where}: ${prefix}${part} is missing: quantised weights mean nothing without it`)
      const fits =
        info.shape.length === shape.length && shape.every((side, i) => side === -1 || side === info.shape[i])
      if (fits && dtypes.includes(info.dtype)) return info
      const wanted = `${dtypes.join(' or ')} [${shape.map(side => (side === -1 ? '…' : side)).join('×')}]`
      throw refuse(
        `${where}: ${prefix}${part} is ${info.dtype} [${info.shape.join('×')}], it should be ${wanted}`,
      )
    },
    bytes: async part => tensorBytes(await store.read(prefix + part)),
    words: async part => (await store.read(prefix + part)).data as Int32Array,
    floats: async part => (await store.readFloat32(prefix + part)).data as Float32Array<ArrayBuffer>,
    found(parts) {
      const names = parts.filter(part => at(part) !== undefined)
      return {
        names: names.map(part => prefix + part),
        bytes: names.reduce((sum, part) => sum + at(part)!.bytes, 0),
      }
    },
  }
}

/** What names of tensors have before an ending, of those that have it. */
export const prefixesOf = ({ tensors }: TensorStore, ending: string): string[] =>
  [...tensors.keys()].filter(name => name.endsWith(ending)).map(name => name.slice(0, -ending.length))

export const floatTypes = ['F32', 'F16', 'BF16']

export const refuse = (message: string): ReallmError =>
  new ReallmError('bad-file', message, { hint: 'download the model again, or open the original' })
