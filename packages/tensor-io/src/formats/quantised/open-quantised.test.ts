import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { Tensors } from '../../../test/tiny-model.ts'
import { type Tensor, tensor } from '../../core/tensor.ts'
import { openFiles } from '../open/index.ts'
import { encodeSafetensors } from '../safetensors/index.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { bytesSource } from '../source/index.ts'

const fixture = async (name: string) =>
  openSafetensors(
    bytesSource(
      name,
      await readFile(new URL(`../../../test/fixtures/quantised/${name}.safetensors`, import.meta.url)),
    ),
  )
const stored = async (name: string): Promise<Tensors> => {
  const file = await fixture(name)
  return Object.fromEntries(
    await Promise.all([...file.tensors.keys()].map(async key => [key, await file.read(key)] as const)),
  )
}
const open = (tensors: Tensors, quantization_config: object) =>
  openFiles(
    Object.entries({
      'config.json': new TextEncoder().encode(JSON.stringify({ quantization_config })),
      'model.safetensors': encodeSafetensors(tensors),
    }).map(([name, bytes]) => ({ name, source: bytesSource(name, bytes) })),
  )

const gptq = (bits: number, more: object = {}) => ({ quant_method: 'gptq', bits, group_size: 16, ...more })
const compressed = (format: string, num_bits: number, type = 'int') => ({
  quant_method: 'compressed-tensors',
  format,
  config_groups: { group_0: { targets: ['Linear'], weights: { num_bits, type } } },
})
const fp8 = { quant_method: 'fp8', weight_block_size: [16, 32] }

describe('weights that another tool quantised', () => {
  it.each<[string, object, string]>([
    ['gptq-2', gptq(2), 'GPTQ, 2 bits, groups of 16'],
    ['gptq-3', gptq(3), 'GPTQ, 3 bits, groups of 16'],
    ['gptq-4', gptq(4), 'GPTQ, 4 bits, groups of 16'],
    // a matrix with other bits than most
    ['gptq-8', gptq(4, { checkpoint_format: 'gptq' }), 'GPTQ, 4 bits, groups of 16'],
    ['gptq-v2', gptq(4, { checkpoint_format: 'gptq_v2' }), 'GPTQ, 4 bits, groups of 16'],
    ['gptq-ordered', gptq(4, { desc_act: true }), 'GPTQ, 4 bits, groups of 16, in order of activations'],
    ['gptq-outputs', gptq(4, { group_size: -1 }), 'GPTQ, 4 bits, one group an output'],
    ['awq', { quant_method: 'awq', bits: 4, group_size: 16, version: 'GEMM' }, 'AWQ, 4 bits, groups of 16'],
    ['fp8-block', fp8, 'FP8, a scale for each block of 16×32'],
    ['fp8-tensor', { quant_method: 'fp8' }, 'FP8, a scale for each matrix or row'],
    [
      'fp8-tensor',
      { quant_method: 'modelopt', quant_algo: 'FP8' },
      'FP8 (ModelOpt), a scale for each matrix',
    ],
    ['fp8-row', { quant_method: 'fbgemm_fp8' }, 'FP8 (FBGEMM), a scale for each row'],
    ['fp8-row', compressed('float-quantized', 8, 'float'), 'compressed-tensors, float-quantized, 8 bits'],
    ['packed-4', compressed('pack-quantized', 4), 'compressed-tensors, pack-quantized, 4 bits'],
    ['packed-4-zeros', compressed('pack-quantized', 4), 'compressed-tensors, pack-quantized, 4 bits'],
    ['packed-8', compressed('pack-quantized', 8), 'compressed-tensors, pack-quantized, 8 bits'],
    ['int-8', compressed('int-quantized', 8), 'compressed-tensors, int-quantized, 8 bits'],
  ])('%s reads as its tool decodes it: %j', async (name, config, description) => {
    const model = await open(await stored(name), config)
    const want = await model.readFloat32('expected')
    expect(model.quantised).toBe(description)
    expect([...model.tensors.keys()].sort()).toEqual(['expected', 'layer.weight'])
    expect(model.tensors.get('layer.weight')?.shape).toEqual(want.shape)
    expect(model.tensors.get('layer.weight')!.bytes).toBeLessThan(want.data.byteLength / 2)
    expect((await model.readFloat32('layer.weight')).data).toEqual(want.data)
    const cols = want.shape[1]
    for (const [from, to] of [
      [0, 5],
      [5, 30],
    ] as const) {
      const { shape, data } = await model.readFloat32('layer.weight', [from, to])
      expect(shape).toEqual([to - from, cols])
      expect(data).toEqual(want.data.subarray(from * cols, to * cols))
    }
  })

  it('FP8 of a stack of matrices has scales for each', async () => {
    const { 'layer.weight': codes, 'layer.weight_scale_inv': scales, expected } = await stored('fp8-block')
    const twice = <T extends Tensor>(one: T) => {
      const data = Array.from({ length: 2 }, () => [...(one.data as Uint8Array)]).flat()
      return data
    }
    const shape = [2, ...codes.shape]
    const tensors = {
      'experts.up': tensor('F8_E4M3', shape, Uint8Array.from(twice(codes))),
      'experts.up_scale_inv': tensor('F32', [2, ...scales.shape], Float32Array.from(twice(scales))),
    }
    const model = await open(tensors, fp8)
    const values = Float32Array.from(twice(expected))
    expect((await model.readFloat32('experts.up')).data).toEqual(values)
    expect((await model.readFloat32('experts.up', [1, 2])).data).toEqual(values.subarray(values.length / 2))
  })

  const without = (part: string) => async (name: string) => {
    const { [`layer.${part}`]: _, ...rest } = await stored(name)
    return rest
  }
  const changed = (part: string, value: Tensor) => async (name: string) => ({
    ...(await stored(name)),
    [`layer.${part}`]: value,
  })
  it.each<[string, string, object, (name: string) => Promise<Tensors>, string]>([
    ['no scales', 'gptq-4', gptq(4), without('scales'), 'layer.scales is missing'],
    ['no zero points', 'awq', { quant_method: 'awq' }, without('qzeros'), 'layer.qzeros is missing'],
    ['no scale of 8 bits', 'fp8-block', fp8, without('weight_scale_inv'), 'stored in 8 bits without a scale'],
    ['other blocks', 'fp8-block', { quant_method: 'fp8' }, stored, 'does not fit its scales [3×3]'],
    [
      'fewer groups',
      'packed-4-zeros',
      compressed('pack-quantized', 4),
      changed('weight_scale', tensor('F32', [32, 3], new Float32Array(96))),
      'weight_zero_point is I32 [4×4], it should be I32 [4×3]',
    ],
    [
      'a list of groups for other inputs',
      'gptq-4',
      gptq(4),
      changed('g_idx', tensor('I32', [50], new Int32Array(50))),
      'qweight [8×32] does not fit 50 inputs',
    ],
  ])('%s is refused when it is opened', async (_, name, config, make, message) => {
    await expect(open(await make(name), config)).rejects.toThrow(message)
    await expect(open(await make(name), config)).rejects.toMatchObject({ code: 'bad-file' })
  })

  it('a group that is not there is refused when it is read', async () => {
    const groups = tensor('I32', [64], new Int32Array(64).fill(9))
    const model = await open(await changed('g_idx', groups)('gptq-4'), gptq(4))
    await expect(model.readFloat32('layer.weight')).rejects.toThrow(
      'layer: an input is in group 9, there are 4',
    )
  })

  it('is left as it is where the format is not read, or nothing is stored so', async () => {
    for (const config of [{ quant_method: 'aqlm' }, gptq(5), gptq(4, { checkpoint_format: 'marlin' })]) {
      const model = await open(await stored('gptq-4'), config)
      expect(model.quantised).toBeUndefined()
      expect(model.tensors.has('layer.qweight')).toBe(true)
    }
    expect((await open({ a: tensor('F32', [1], new Float32Array(1)) }, gptq(4))).quantised).toBeUndefined()
  })
})
