import {
  bitsOf,
  onnxBlocks,
  onnxParts,
  ReallmError,
  sizeOf,
  toFloat32,
  writeFileAtomic,
} from '@reallm/tensor-io'
import type { HuggingFaceConfig } from '@reallm/tensor-io/models'
import { join, mkdir, rm } from '#platform'
import type { MatrixModule } from '../open/model-parts.ts'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { type StoredModel, storedConstants } from './onnx/constants.ts'
import { decoderGraph } from './onnx/decoder-graph.ts'
import { lengthOf } from './onnx/protobuf.ts'
import { type WrittenOnnx, writeOnnx } from './onnx/write-model.ts'
import type { Target } from './target.ts'

/** Bytes that a constant takes in the file besides its own and its name. */
const constantOverhead = 64

/**
 * A directory that transformers.js and ONNX Runtime load: `onnx/model_q4.onnx` (or `_q2`, `_quantized`), configuration,
 * tokenizer.
 *
 * @throws `unsupported` naming what of the model it cannot express
 */
export function onnxTarget(model: OpenedModel): Target {
  for (const module of model.parts.matrices) requireWholeBlocks(module)
  const largest = new Map(model.parts.matrices.map(({ name, shape }) => [name, { shape, bits: 8 }]))
  const graph = decoderGraph(model.config, storedConstants(storedModel(model, largest)))
  const isMatrix = (name: string) => onnxParts.some(part => largest.has(name.replace(`.${part}`, '')))
  const kept = graph.initializers.filter(({ name }) => !isMatrix(name))
  const heads = graph.initializers.reduce((sum, { name }) => sum + name.length + constantOverhead, 0)
  return {
    name: 'onnx',
    fixedBytes: lengthOf(graph.nodes) + heads + kept.reduce((sum, { bytes }) => sum + bytes, 0),
    storedBytes: (_, cost) => bitsOf(cost) / 8,
    async write(quantised, work) {
      const folder = join(work, 'onnx-model')
      await rm(folder, { recursive: true, force: true })
      await mkdir(join(folder, 'onnx'), { recursive: true })
      const { files, bytes } = await writeGraph(model, quantised, folder)
      const config = configOf(model.config.source, files)
      await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
      for (const [name, contents] of await tokenizerFiles(model.weights)) {
        await writeFileAtomic(join(folder, name), contents)
      }
      return { folder, path: folder, bytes }
    },
  }
}

/** Blocks are cut out of rows. */
function requireWholeBlocks({ name, shape }: MatrixModule): void {
  const [rows, cols] = shape
  if (cols % onnxBlocks.group === 0) return
  throw new ReallmError(
    'unsupported',
    `${name} [${rows}×${cols}]: the target onnx does not fit: ${onnxBlocks.group} does not divide ${cols}`,
    { hint: `ONNX Runtime reads blocks of ${onnxBlocks.group} weights of a row; use the target reallm` },
  )
}

async function writeGraph(
  model: OpenedModel,
  quantised: QuantisedModel,
  folder: string,
): Promise<WrittenOnnx> {
  const matrices = new Map<string, { shape: readonly [number, number]; bits: number }>()
  for (const module of quantised.modules) {
    matrices.set(module.name, {
      shape: module.shape,
      bits: bitsOfGrid(module.name, (await quantised.matrix(module)).params),
    })
  }
  const stored = storedModel(model, matrices)
  const norms = await quantised.norms()
  const byName = new Map(quantised.modules.map(module => [module.name, module]))
  const graph = decoderGraph(
    model.config,
    storedConstants({
      ...stored,
      matrix: name => quantised.matrix(byName.get(name)!),
      tensor: name => {
        const norm = norms.get(name)
        return norm ? { shape: norm.shape, read: async () => toFloat32(norm) } : stored.tensor(name)
      },
    }),
  )
  return writeOnnx(graph, join(folder, 'onnx', `model${suffixOf(matrices)}`))
}

/** A model's constants before they are quantised: only their sizes are known. */
function storedModel({ plain }: OpenedModel, matrices: StoredModel['matrices']): StoredModel {
  return {
    matrices,
    matrix: async name => {
      throw new ReallmError('bad-option', `${name} is not stored yet`)
    },
    tensor: name => ({ shape: plain[name].shape, read: async () => toFloat32(plain[name]) }),
  }
}

function bitsOfGrid(module: string, params: unknown): number {
  const { bits, ...given } = params as Readonly<Record<string, unknown>>
  if (typeof bits === 'number' && Object.entries(onnxBlocks).every(([name, value]) => given[name] === value))
    return bits
  throw new ReallmError(
    'unsupported',
    `${module}: it is encoded in what ONNX Runtime's operators cannot hold`,
    {
      hint: 'use the recipe onnx',
    },
  )
}

/** What transformers.js calls a file of that many bits. */
function suffixOf(matrices: StoredModel['matrices']): string {
  let [bits, weights] = [0, 0]
  for (const matrix of matrices.values()) {
    bits += matrix.bits * sizeOf(matrix.shape)
    weights += sizeOf(matrix.shape)
  }
  const mean = bits / weights
  return mean <= 3 ? '_q2' : mean <= 6 ? '_q4' : '_quantized'
}

const dtypes: Readonly<Record<string, string>> = { _q2: 'q2', _q4: 'q4', _quantized: 'q8' }

/** With what transformers.js should load by default. */
function configOf(source: HuggingFaceConfig, files: readonly string[]): object {
  const { quantization_config: _, ...config } = source as Record<string, unknown>
  const suffix = /model(_\w+)\.onnx$/.exec(files[0])![1]
  const settings = { dtype: dtypes[suffix], ...(files.length > 1 && { use_external_data_format: true }) }
  return { ...config, 'transformers.js_config': settings }
}
