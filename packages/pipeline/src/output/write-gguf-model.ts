import {
  createGgufWriter,
  type GgufValue,
  type GgufWriter,
  ggufAligned,
  layOutGguf,
  type Matrix,
  type PlannedGgufTensors,
  ReallmError,
  toFloat32,
} from '@reallm/tensor-io'
import {
  ggufStacks,
  ggufTensors,
  partsToWrite,
  permuteHeads,
  type StoredInGguf,
  storedParts,
} from '@reallm/tensor-io/gguf'
import { stackBuilder } from '@reallm/tensor-io/models'
import { type ModelWeights, openWeights } from '@reallm/transformer'
import { join, mkdir, rm } from '#platform'
import type { GgufPlan } from '../convert/plan-gguf.ts'
import { requireStorable } from '../convert/storable.ts'
import { requireMetadata } from '../convert/write-gguf.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import type { UnpublishedModel } from './target.ts'

export interface GgufModelOptions {
  readonly work: string
  /** Of the file, or the beginning of those of the parts: `model.gguf`. */
  readonly name: string
  /** Of a part, at most, unless a tensor is larger. */
  readonly shardBytes: number
}

/** Writes a quantised model as planned, one tensor in memory, and reads it back. */
export async function writeGgufModel(
  model: OpenedModel,
  quantised: QuantisedModel,
  plan: GgufPlan,
  { work, name, shardBytes }: GgufModelOptions,
): Promise<UnpublishedModel> {
  const folder = join(work, 'gguf')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const parts = partsOf(plan, shardBytes)
  const names = parts.map((_, i) => (parts.length === 1 ? name : partName(name, i, parts.length)))
  const sources = await sourcesOf(model, quantised, plan)
  let bytes = 0
  for (const [i, tensors] of parts.entries()) {
    const metadata = parts.length === 1 ? plan.metadata : splitMetadata(plan, i, parts.length)
    const writer = await createGgufWriter(join(folder, names[i]), metadata, tensors)
    try {
      for (const stored of Object.keys(tensors)) await sources.get(stored)!(writer)
      await writer.finish()
    } catch (error) {
      await writer.abort()
      throw error
    }
    bytes += writer.bytes
  }
  const path = join(folder, names[0])
  const written = await openWeights(path)
  try {
    requireMetadata(written.files.metadata, plan)
    await requireBlocks(written, quantised)
  } finally {
    await written.close()
  }
  return { folder, path, bytes }
}

/** What writes each tensor, by its name in the file. */
async function sourcesOf(
  { config, plain }: OpenedModel,
  quantised: QuantisedModel,
  { tensors, ropeTensors }: GgufPlan,
): Promise<Map<string, (writer: GgufWriter) => Promise<void>>> {
  const inGguf = ggufTensors(config)
  const norms = await quantised.norms()
  const sources = new Map<string, (writer: GgufWriter) => Promise<void>>()
  for (const [name, values] of Object.entries(ropeTensors)) {
    sources.set(name, writer => writer.write(name, values))
  }
  const stacks = stackBuilder(ggufStacks(inGguf))
  for (const [tensor, { shape, ...kept }] of Object.entries(plain)) {
    const values = toFloat32(norms.get(tensor) ?? { shape, ...kept })
    const whole = stacks.add({ name: tensor, shape, values })
    if (!whole) continue
    const stored = inGguf.get(whole.name) ?? { name: whole.name, interleavedHeads: 0, added: 0 }
    if (tensors[stored.name].type === 'F16') requireStorable(tensor, whole.shape, whole.values, 'f16')
    for (const part of partsToWrite(stored, whole.values, whole.shape)) {
      sources.set(part.name, writer => writer.write(part.name, part.values))
    }
  }
  const blocksOf = async (module: MatrixModule) => (await quantised.matrix(module)).parts.blocks
  const byStack = new Map<string, MatrixModule[]>()
  for (const module of quantised.modules) {
    const stored = inGguf.get(`${module.name}.weight`)!
    if (stored.inStack) {
      const { name, expert } = stored.inStack
      const experts = byStack.get(name) ?? []
      byStack.set(name, experts)
      experts[expert] = module
      continue
    }
    let from = 0
    for (const { name, shape } of storedParts(stored, module.shape)) {
      const [first, rows] = [from, shape[0]]
      from += rows
      sources.set(name, async writer => {
        const blocks = await blocksOf(module)
        const ordered = inOrder(stored, blocks.data as Uint8Array<ArrayBuffer>, module.shape[0])
        const perRow = blocks.shape[1]
        await writer.writeBlocks(name, ordered.subarray(first * perRow, (first + rows) * perRow))
      })
    }
  }
  for (const [name, experts] of byStack) {
    sources.set(name, async writer => {
      const blocks: Uint8Array[] = []
      for (const expert of experts) blocks.push((await blocksOf(expert)).data as Uint8Array)
      const all = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0))
      let at = 0
      for (const each of blocks) {
        all.set(each, at)
        at += each.length
      }
      await writer.writeBlocks(name, all)
    })
  }
  return sources
}

/** The rows of a matrix, of which the file may have another order. */
const inOrder = (
  { interleavedHeads }: StoredInGguf,
  blocks: Uint8Array<ArrayBuffer>,
  rows: number,
): Uint8Array<ArrayBuffer> =>
  interleavedHeads > 0 ? permuteHeads(blocks, rows, interleavedHeads, false) : blocks

/** The tensors of each file, in order. */
function partsOf({ metadata, tensors }: GgufPlan, shardBytes: number): PlannedGgufTensors[] {
  const parts: Record<string, PlannedGgufTensors[string]>[] = [{}]
  let held = 0
  for (const [name, tensor] of Object.entries(tensors)) {
    const alone = layOutGguf(parts.length === 1 ? metadata : {}, { [name]: tensor })
    const bytes = ggufAligned(alone.bytes - alone.header.length)
    if (held > 0 && alone.header.length + held + bytes > shardBytes) {
      parts.push({})
      held = 0
    }
    parts.at(-1)![name] = tensor
    held += bytes
  }
  return parts
}

/** As llama.cpp names and describes the parts of a split file: the first has the metadata. */
function splitMetadata(
  { metadata, tensors }: GgufPlan,
  part: number,
  parts: number,
): Record<string, GgufValue> {
  return {
    ...(part === 0 ? metadata : {}),
    'split.no': { type: 'uint16', value: part },
    'split.count': { type: 'uint16', value: parts },
    'split.tensors.count': { type: 'int32', value: Object.keys(tensors).length },
  }
}

const partName = (name: string, part: number, parts: number): string => {
  const digits = (n: number) => String(n).padStart(5, '0')
  return `${name.replace(/\.gguf$/, '')}-${digits(part + 1)}-of-${digits(parts)}.gguf`
}

/** The first and the last row of every matrix have to read as what was encoded. */
async function requireBlocks(written: ModelWeights, quantised: QuantisedModel): Promise<void> {
  const registry = builtInRegistry()
  for (const module of quantised.modules) {
    const encoded = await quantised.matrix(module)
    const rows = registry.codecOf(encoded).decodeRows!
    for (const row of new Set([0, module.shape[0] - 1])) {
      const wanted: Matrix = rows(encoded, row, row + 1)
      const { data } = await written.read(`${module.name}.weight`, [row, row + 1])
      if (wanted.data.every((value, i) => value === data[i])) continue
      throw new ReallmError(
        'integrity',
        `${module.name}: row ${row} reads back otherwise than it was written`,
        {
          hint: 'nothing was published; this is a fault of reallm or of the disk',
        },
      )
    }
  }
}
