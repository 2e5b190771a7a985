import { bitsOf, ggufAligned, layOutGguf, ReallmError, sizeOf } from '@reallm/tensor-io'
import { ggufTensors } from '@reallm/tensor-io/gguf'
import { type GgufPlan, planGguf } from '../convert/plan-gguf.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { Settings } from '../settings.ts'
import type { Target } from './target.ts'
import { writeGgufModel } from './write-gguf-model.ts'

/** Bytes of what each file of a split model says of itself, at most. */
const splitOverhead = 512

/**
 * A GGUF file, or several of at most `shardBytes` (a tensor that is larger has one to itself).
 *
 * @throws `unsupported` naming what GGUF cannot hold
 */
export async function ggufTarget(
  model: OpenedModel,
  settings: Settings,
  shardBytes: number,
): Promise<Target> {
  const inGguf = ggufTensors(model.config)
  for (const { name } of model.parts.matrices) requireInRows(name, inGguf)
  const plan = await planOf(model, new Map(), settings)
  const matrices = new Set(model.parts.matrices.map(({ name }) => name))
  const { header, bytes } = layOutGguf(plan.metadata, plan.tensors)
  const stored = model.parts.matrices.reduce((sum, { shape }) => sum + ggufAligned(2 * sizeOf(shape)), 0)
  return {
    name: 'gguf',
    fixedBytes:
      bytes - stored + (Number.isFinite(shardBytes) ? header.length + splitOverhead * matrices.size : 0),
    storedBytes: (_, cost) => ggufAligned(bitsOf(cost) / 8),
    stackOf: module => inGguf.get(`${module}.weight`)?.inStack?.name,
    async write(quantised, work, name = 'model.gguf') {
      const types = new Map<string, string>()
      for (const module of quantised.modules) {
        types.set(`${module.name}.weight`, blockTypeOf(module.name, (await quantised.matrix(module)).params))
      }
      const planned = await planOf(model, types, settings)
      return writeGgufModel(model, quantised, planned, { work, name, shardBytes })
    },
  }
}

/** Blocks are cut out of rows: a matrix that GGUF stores in another order is not encoded. */
function requireInRows(module: string, stored: ReturnType<typeof ggufTensors>): void {
  const { tiled, shape } = stored.get(`${module}.weight`)!
  if (!tiled && !shape) return
  throw new ReallmError(
    'unsupported',
    `${module}: GGUF stores it in another order, which the target gguf does not encode`,
    {
      hint: 'use the target reallm, or `reallm convert`, which writes decoded weights',
    },
  )
}

/** Vectors are F32, matrices that are not encoded F16. */
const planOf = (
  { weights }: OpenedModel,
  types: ReadonlyMap<string, string>,
  settings: Settings,
): Promise<GgufPlan> =>
  planGguf(
    weights,
    {
      typeOf: (tensor, shape) => types.get(tensor) ?? (shape.length < 2 ? 'F32' : 'F16'),
      fileType: fileTypeOf(types, weights.shapes),
    },
    settings,
  )

function blockTypeOf(module: string, params: unknown): string {
  const { type } = params as { readonly type?: unknown }
  if (typeof type === 'string') return type
  throw new ReallmError('unsupported', `${module}: it is encoded in what GGUF cannot hold`, {
    hint: 'use the recipe gguf, whose matrices are blocks of GGUF',
  })
}

/** llama.cpp's numbers for files that are mostly of a type; its readers show them to people. */
const fileTypes: Readonly<Record<string, number>> = {
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 12,
  Q4_K: 15,
  Q5_K: 17,
  Q6_K: 18,
  IQ2_XXS: 19,
  IQ2_XS: 20,
  IQ3_XXS: 23,
  IQ1_S: 24,
  IQ4_NL: 25,
  IQ3_S: 26,
  IQ2_S: 28,
  IQ4_XS: 30,
  IQ1_M: 31,
  TQ1_0: 36,
  TQ2_0: 37,
  MXFP4: 38,
}

/** The number of the type that holds most weights, of those that have one. */
function fileTypeOf(
  types: ReadonlyMap<string, string>,
  shapes: ReadonlyMap<string, readonly number[]>,
): number {
  const weights = new Map<string, number>([['F16', 0]])
  for (const [tensor, type] of types) {
    if (type in fileTypes) weights.set(type, (weights.get(type) ?? 0) + sizeOf(shapes.get(tensor)!))
  }
  const [[most]] = [...weights].sort((a, b) => b[1] - a[1])
  return fileTypes[most]
}
