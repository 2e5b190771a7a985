import { expect, it } from 'vitest'
import { dawn } from '../../test/dawn.ts'
import { codedMatvec } from './coded-matvec.ts'
import type { CodedKernel } from './coded-unit.ts'
import { codedMatmul, trellisMatmul } from './matmul.ts'
import { trellisMatmulIntegers } from './matmul-integers.ts'

const trellis = { kind: 'trellis', stateBits: 10, tables: 2 } as const
const coded: CodedKernel = {
  ...{ kind: 'coded', bits: 8, dim: 1, values: 'uniform' },
  ...{ scaleBits: 32, shifts: true, aligned: true },
}

const kernels: [name: string, code: string][] = [
  ['floats of 16 bits, trellis codes', trellisMatmul(trellis, 'f32', true)],
  ['floats of 16 bits, codes in rows', codedMatmul(coded, true)],
  ['whole numbers', trellisMatmulIntegers(trellis, 'storage')],
  ...[4, 8, 16, 32, 64, 128].map((size): [string, string] => [
    `subgroups of ${size}`,
    codedMatvec(coded, size, 32),
  ]),
]

// Dawn's device without hardware compiles for all features, also for those that no adapter here has.
it.each(kernels)('compiles: %s', async (_, code) => {
  const adapter = await (await dawn('null')).requestAdapter()
  const requiredFeatures = ['shader-f16', 'subgroups'] as GPUFeatureName[]
  const device = await adapter!.requestDevice({ requiredFeatures })
  const module = device.createShaderModule({ code })
  const { messages } = await module.getCompilationInfo()
  expect(messages.map(({ message }) => message)).toEqual([])
  await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } })
})
