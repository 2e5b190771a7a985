import { unpackBits } from '../../core/bits.ts'
import type { ComputedTensor } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'
import { groupsOf, type IntegerMatrix, integerMatrix, unpackColumns } from './integers.ts'
import { floatTypes, partsOf, prefixesOf, refuse } from './parts.ts'
import type { SchemeOrReason, Settings } from './scheme.ts'

const widths = [2, 3, 4, 8]

/**
 * Weights of GPTQ as AutoGPTQ and GPTQModel save them: codes packed down the inputs, zero points along the outputs (in
 * the first version of the format less one), and with `desc_act` the group of each input in `g_idx`.
 */
export function gptq(settings: Settings): SchemeOrReason {
  const {
    bits,
    group_size: size,
    desc_act,
    checkpoint_format: format = 'gptq',
    pack_dtype = 'int32',
  } = settings
  if (format !== 'gptq' && format !== 'gptq_v2') return { reason: `GPTQ in the format ${format}` }
  if (pack_dtype !== 'int32') return { reason: `GPTQ packed into ${pack_dtype}` }
  if (!widths.includes(bits as number)) return { reason: `GPTQ with ${bits} bits` }
  const groupSize = typeof size === 'number' && size > 0 ? size : undefined
  return {
    description: [
      `GPTQ, ${bits} bits`,
      groupSize ? `groups of ${groupSize}` : 'one group an output',
      ...(desc_act === true ? ['in order of activations'] : []),
    ].join(', '),
    decoded: (where, store) =>
      new Map(
        prefixesOf(store, '.qweight').map(module =>
          matrixOf(where, store, module, { groupSize, bits: bits as number, format }),
        ),
      ),
  }
}

interface Layout {
  /** Of all matrices, unless `g_idx` tells that one has others. */
  readonly bits: number
  /** Of all inputs, where there is none. */
  readonly groupSize: number | undefined
  readonly format: string
}

function matrixOf(
  where: string,
  store: TensorStore,
  module: string,
  layout: Layout,
): [string, ComputedTensor] {
  const parts = partsOf(where, store, `${module}.`)
  const [words, out] = parts.need('qweight', ['I32'], [-1, -1]).shape
  const listed = parts.has('g_idx') ? parts.need('g_idx', ['I32'], [-1]).shape[0] : undefined
  const bits = listed === undefined ? layout.bits : (32 * words) / listed
  const inputs = (32 * words) / bits
  if (!widths.includes(bits) || !Number.isInteger(inputs)) {
    throw refuse(`${parts.where}.qweight [${words}×${out}] does not fit ${listed ?? inputs} inputs`)
  }
  const [groups] = parts.need('scales', floatTypes, [-1, out]).shape
  parts.need('qzeros', ['I32'], [groups, Math.ceil((out * bits) / 32)])
  const matrix: IntegerMatrix = {
    ...{ module, parts, shape: [out, inputs], dtype: `GPTQ ${bits} bits` },
    names: ['qweight', 'qzeros', 'scales', 'g_idx'],
  }
  return integerMatrix(matrix, async () => ({
    codes: unpackColumns(await parts.words('qweight'), bits, inputs, out),
    scales: await parts.floats('scales'),
    zeros: zerosOf(await parts.bytes('qzeros'), bits, [groups, out], layout.format === 'gptq' ? 1 : 0),
    groupOf: await groupsOf(parts, 'g_idx', { inputs, groups, size: layout.groupSize }),
    codeStrides: [1, out],
    scaleStrides: [1, out],
  }))
}

/** Zero points, `[groups, out]`; each group begins with a whole word. */
function zerosOf(
  packed: Uint8Array,
  bits: number,
  [groups, out]: readonly [number, number],
  offset: number,
): Uint16Array {
  const rowBytes = packed.length / groups
  const zeros = new Uint16Array(groups * out)
  for (let group = 0; group < groups; group++) {
    const row = packed.subarray(group * rowBytes, (group + 1) * rowBytes)
    zeros.set(unpackBits(row, bits, out), group * out)
  }
  return zeros.map(zero => (zero + offset) & (2 ** bits - 1))
}
