import {
  blobSource,
  type Matrix,
  type ModelFiles,
  openFiles,
  openModel,
  ReallmError,
  throwIfAborted,
} from '@reallm/tensor-io'
import { modelFilesAmong } from '../shared/dropped.ts'
import { originalFiles } from '../shared/embedded.ts'

/** A matrix that can be chosen. */
export interface MatrixInfo {
  readonly name: string
  readonly shape: readonly [rows: number, cols: number]
  readonly dtype: string
}

/** What the page is told of a model that was opened. */
export interface OpenedModel {
  readonly name: string
  readonly bytes: number
  readonly matrices: readonly MatrixInfo[]
  readonly weights: number
  /** Why it cannot be compressed as a whole, if so. */
  readonly obstacle?: string
}

/** Weights that a whole model may have in a page: WebAssembly can address 4 GiB. */
const largestModel = 6e8
/** Weights of one matrix that are encoded while somebody waits. */
const largestMatrix = 1 << 18

/** Opens dropped files, or the embedded model behind a URL. */
export async function openSource(from: readonly File[] | string): Promise<ModelFiles> {
  if (typeof from === 'string') return openModel(from, { files: originalFiles })
  const files = await modelFilesAmong(from)
  const named = files.map(file => ({ name: file.name, source: blobSource(file.name, file) }))
  const opened = await openFiles(named)
  if (opened.kind !== 'artifact') return opened
  // What decodes its matrices is only loaded for one.
  const { builtInRegistry } = await import('@reallm/pipeline')
  return openFiles(named, { registry: builtInRegistry() })
}

export function describeSource(files: ModelFiles, name: string): OpenedModel {
  const matrices: MatrixInfo[] = []
  let weights = 0
  for (const [tensor, { shape, dtype }] of files.tensors) {
    const [rows, cols] = shape
    weights += shape.reduce((product, n) => product * n, 1)
    if (shape.length === 2 && rows >= 8 && cols >= 8)
      matrices.push({ name: tensor, shape: [rows, cols], dtype })
  }
  if (matrices.length === 0) {
    throw new ReallmError('unsupported', `${name}: there is no matrix in it`, {
      hint: 'tensors of two dimensions with at least 8 rows and 8 columns are matrices here',
    })
  }
  const obstacle = obstacleTo(files, weights)
  return { name, bytes: files.bytes, matrices, weights, ...(obstacle && { obstacle }) }
}

function obstacleTo(files: ModelFiles, weights: number): string | undefined {
  if (files.kind === 'artifact') return 'It is compressed already: its matrices can be looked at, decoded.'
  if (files.kind !== 'gguf' && Object.keys(files.config).length === 0)
    return 'To compress it as a whole, drop config.json and tokenizer.json together with it.'
  if (weights > largestModel)
    return `It has ${(weights / 1e6).toFixed(0)} million weights: too many for a page. Use reallm compress in Node.`
  return undefined
}

/** A matrix, or the first rows of a large one. */
export async function readMatrix(
  files: ModelFiles,
  { name, shape: [rows, cols] }: MatrixInfo,
  signal: AbortSignal,
): Promise<Matrix> {
  throwIfAborted(signal)
  const used = Math.min(rows, Math.max(8, Math.floor(largestMatrix / cols)))
  const { data } = await files.readFloat32(name, [0, used])
  return { rows: used, cols, data }
}
