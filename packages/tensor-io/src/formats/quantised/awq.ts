import { unpackBits } from '../../core/bits.ts'
import type { ComputedTensor } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'
import { groupsOf, type IntegerMatrix, integerMatrix } from './integers.ts'
import { floatTypes, partsOf, prefixesOf } from './parts.ts'
import type { SchemeOrReason, Settings } from './scheme.ts'

/** Versions whose weights lie as those of `gemm` do. */
const versions = ['gemm', 'exllama', 'ipex']
const BITS = 4
/** Where the codes of eight neighbours lie in a word, in codes from its lowest bit. */
const places = [0, 4, 1, 5, 2, 6, 3, 7]

/** Weights of AWQ as AutoAWQ saves them for its `gemm` kernels: eight outputs in a word, in an order of their own. */
export function awq(settings: Settings): SchemeOrReason {
  const { bits = BITS, group_size: size = 128, version = 'gemm' } = settings
  if (bits !== BITS) return { reason: `AWQ with ${bits} bits` }
  if (!versions.includes(String(version).toLowerCase())) return { reason: `AWQ in the version ${version}` }
  return {
    description: `AWQ, ${BITS} bits, ${typeof size === 'number' && size > 0 ? `groups of ${size}` : 'one group an output'}`,
    decoded: (where, store) =>
      new Map(prefixesOf(store, '.qweight').map(module => matrixOf(where, store, module))),
  }
}

function matrixOf(where: string, store: TensorStore, module: string): [string, ComputedTensor] {
  const parts = partsOf(where, store, `${module}.`)
  const [inputs, words] = parts.need('qweight', ['I32'], [-1, -1]).shape
  const out = 8 * words
  const [groups] = parts.need('scales', floatTypes, [-1, out]).shape
  parts.need('qzeros', ['I32'], [groups, words])
  const matrix: IntegerMatrix = {
    ...{ module, parts, shape: [out, inputs], dtype: `AWQ ${BITS} bits` },
    names: ['qweight', 'qzeros', 'scales'],
  }
  return integerMatrix(matrix, async () => ({
    codes: inOrder(unpackBits(await parts.bytes('qweight'), BITS, inputs * out)),
    scales: await parts.floats('scales'),
    zeros: inOrder(unpackBits(await parts.bytes('qzeros'), BITS, groups * out)),
    groupOf: await groupsOf(parts, 'g_idx', { inputs, groups }),
    codeStrides: [1, out],
    scaleStrides: [1, out],
  }))
}

function inOrder(codes: Uint16Array): Uint8Array {
  const ordered = new Uint8Array(codes.length)
  for (let word = 0; word < codes.length; word += 8) {
    for (let i = 0; i < 8; i++) ordered[word + i] = codes[word + places[i]]
  }
  return ordered
}
