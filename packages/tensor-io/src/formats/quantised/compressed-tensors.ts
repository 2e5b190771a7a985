import { unpackBits } from '../../core/bits.ts'
import type { ComputedTensor } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'
import { float8Tensors, isBlock } from './fp8.ts'
import { groupsOf, type IntegerMatrix, integerMatrix, unpackColumns } from './integers.ts'
import { floatTypes, partsOf, prefixesOf, refuse } from './parts.ts'
import type { SchemeOrReason, Settings } from './scheme.ts'

const formats = ['pack-quantized', 'int-quantized', 'float-quantized', 'naive-quantized']

/**
 * Weights of compressed-tensors (llm-compressor): integers of 4 or 8 bits packed along the inputs (`pack-quantized`),
 * integers of 8 bits (`int-quantized`), floats of 8 bits (`float-quantized`).
 */
export function compressedTensors(settings: Settings): SchemeOrReason {
  const { format, sparsity_config: sparsity, config_groups: groups } = settings
  const { format: sparse = 'dense' } = Object(sparsity) as Settings
  if (sparse !== 'dense') return { reason: `compressed-tensors, ${sparse}` }
  if (!formats.includes(format as string)) return { reason: `compressed-tensors, ${format}` }
  const kinds = Object.values(Object(groups) as Settings).map(
    group => Object(Object(group).weights) as Settings,
  )
  const widths = [...new Set(kinds.map(({ num_bits }) => num_bits))]
  const [bits] = widths
  if (format === 'pack-quantized' && !(widths.length === 1 && (bits === 2 || bits === 4 || bits === 8))) {
    return { reason: `compressed-tensors, ${format} with ${widths.join(' and ')} bits` }
  }
  const block = kinds.map(({ block_structure }) => block_structure).find(isBlock)
  return {
    description: `compressed-tensors, ${format}, ${widths.join(' and ')} bits`,
    decoded(where, store) {
      const modules = (ending: string, dtype: string) =>
        prefixesOf(store, ending).filter(module => store.tensors.get(module + ending)?.dtype === dtype)
      return new Map([
        ...float8Tensors(where, store, block),
        ...modules('.weight_packed', 'I32').map(module => packed(where, store, module, bits as number)),
        ...modules('.weight', 'I8').map(module => bytes(where, store, module)),
      ])
    },
  }
}

/** Codes of `bits` bits, more by half of their range than what they stand for; so are packed zero points. */
function packed(where: string, store: TensorStore, module: string, bits: number): [string, ComputedTensor] {
  const parts = partsOf(where, store, `${module}.`)
  const [out, words] = parts.need('weight_packed', ['I32'], [-1, -1]).shape
  const [, groups] = parts.need('weight_scale', floatTypes, [out, -1]).shape
  parts.need('weight_shape', ['I64', 'I32'], [2])
  const hasZeros = parts.has('weight_zero_point')
  if (hasZeros) parts.need('weight_zero_point', ['I32'], [Math.ceil((out * bits) / 32), groups])
  const cols = (32 * words) / bits

  const matrix: IntegerMatrix = {
    ...{ module, parts, shape: [out, cols], dtype: `compressed-tensors ${bits} bits` },
    names: ['weight_packed', 'weight_scale', 'weight_shape', 'weight_zero_point', 'weight_g_idx'],
  }
  return integerMatrix(matrix, async () => {
    const shape = await parts.floats('weight_shape')
    if (shape[0] !== out || shape[1] !== cols) {
      throw refuse(`${parts.where}.weight_packed [${out}×${words}] is no matrix [${shape.join('×')}]`)
    }
    return {
      codes: unpackBits(await parts.bytes('weight_packed'), bits, out * cols),
      scales: await parts.floats('weight_scale'),
      zeros: hasZeros
        ? unpackColumns(await parts.words('weight_zero_point'), bits, out, groups)
        : 2 ** (bits - 1),
      groupOf: await groupsOf(parts, 'weight_g_idx', { inputs: cols, groups }),
      codeStrides: [cols, 1],
      scaleStrides: [groups, 1],
    }
  })
}

/** Signed codes, with a scale for each row or for all. */
function bytes(where: string, store: TensorStore, module: string): [string, ComputedTensor] {
  const parts = partsOf(where, store, `${module}.`)
  const shape = parts.need('weight', ['I8'], [-1, -1]).shape as [number, number]
  const scales = store.tensors.get(`${module}.weight_scale`)?.shape ?? []
  const each = scales[0] === shape[0] && scales[1] === 1 ? 1 : 0
  parts.need('weight_scale', floatTypes, each ? [shape[0], 1] : scales.map(() => 1))
  const hasZeros = parts.has('weight_zero_point')
  if (hasZeros) parts.need('weight_zero_point', ['I8'], scales)
  const matrix: IntegerMatrix = {
    ...{ module, parts, shape, dtype: 'compressed-tensors 8 bits' },
    names: ['weight', 'weight_scale', 'weight_zero_point', 'input_scale', 'input_zero_point'],
  }
  return integerMatrix(matrix, async () => ({
    codes: new Int8Array((await parts.bytes('weight')).buffer),
    scales: await parts.floats('weight_scale'),
    zeros: hasZeros ? new Int8Array((await parts.bytes('weight_zero_point')).buffer) : 0,
    groupOf: new Uint8Array(shape[1]),
    codeStrides: [shape[1], 1],
    scaleStrides: [each, 0],
  }))
}
