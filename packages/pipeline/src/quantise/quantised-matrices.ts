import {
  bitsOf,
  type EncodedMatrix,
  type LongWork,
  type Matrix,
  partsOf,
  type Registry,
  sizeOf,
} from '@reallm/tensor-io'
import type { RowSource } from '@reallm/transformer'
import * as z from 'zod'
import type { AllocatedMatrix, Allocation } from '../allocate/allocate-bits.ts'
import { type Checkpoint, lost } from '../checkpoint/checkpoint.ts'
import { encodedKey, jsonKey } from '../checkpoint/keys.ts'
import type { EncodeResult } from '../encoder/encode-matrix.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { MatrixReport } from '../output/report.ts'

const reportKey = (module: string) => jsonKey<MatrixReport>(`matrices/${module}.json`, matrixReport)
const encodedMatrixKey = (module: string) => encodedKey(`matrices/${module}.safetensors`)

const matrixReport = z.object({
  name: z.string(),
  shape: z.tuple([z.number(), z.number()]),
  codec: z.string(),
  bits: z.number(),
  bytes: z.number(),
  error: z.number(),
  errorWithoutFeedback: z.number().optional(),
  plainError: z.number(),
  seconds: z.number(),
})

/** The matrices of a model that are stored, in its checkpoint. */
export interface QuantisedMatrices {
  /** By module, as far as they are done. */
  readonly reports: ReadonlyMap<string, MatrixReport>
  encoded(module: string): Promise<EncodedMatrix>
  /** What a matrix decodes to; undefined when it is still to do. */
  decoded(module: string): Promise<Matrix | undefined>
  /** What rows of a stored matrix decode to. */
  rowsOf(module: MatrixModule): Promise<RowSource>
  add(matrix: AllocatedMatrix, result: Omit<EncodeResult, 'decoded'>): Promise<void>
}

/** Opens what a checkpoint holds of an allocation's matrices; reports progress in weights as more are added. */
export async function quantisedMatrices(
  checkpoint: Checkpoint,
  { matrices }: Allocation,
  registry: Registry,
  { onProgress }: LongWork,
): Promise<QuantisedMatrices> {
  const reports = new Map<string, MatrixReport>()
  for (const { module } of matrices) {
    const known = await checkpoint.get(reportKey(module.name))
    if (known) reports.set(module.name, known)
  }
  const weightsOf = (shapes: Iterable<{ readonly shape: readonly number[] }>) =>
    [...shapes].reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const total = weightsOf(matrices.map(({ module }) => module))
  const before = weightsOf(reports.values())
  const started = performance.now()

  async function encoded(module: string): Promise<EncodedMatrix> {
    const stored = await checkpoint.get(encodedMatrixKey(module))
    if (!stored) throw lost(encodedMatrixKey(module).file)
    return stored
  }
  return {
    reports,
    encoded,
    decoded: async module => (reports.has(module) ? registry.decode(await encoded(module)) : undefined),
    async rowsOf({ name, shape }) {
      const stored = await encoded(name)
      const codec = registry.codecOf(stored)
      if (codec.decodeRows)
        return { shape, read: async (from, to) => codec.decodeRows!(stored, from, to).data }
      const { data } = codec.decode(stored)
      return { shape, read: async (from, to) => data.subarray(from * shape[1], to * shape[1]) }
    },
    async add(matrix, result) {
      const report = reportOf(matrix, result)
      const { name, error, bytes } = report
      await checkpoint.put(encodedMatrixKey(name), result.encoded)
      // The report comes last: a matrix without one is done again.
      await checkpoint.put(reportKey(name), report)
      reports.set(name, report)
      const done = weightsOf(reports.values())
      const eta = ((performance.now() - started) / 1000 / (done - before)) * (total - done)
      onProgress?.({ event: 'matrix-end', name, done, total, eta, error, bytes })
    },
  }
}

function reportOf(
  { module, configuration, sharing }: AllocatedMatrix,
  result: Omit<EncodeResult, 'decoded'>,
): MatrixReport {
  const { encoded, error, errorWithoutFeedback, plainError, seconds } = result
  const { name, shape } = module
  const shared = sharing ? Object.entries(partsOf(encoded)).filter(([part]) => sharing.includes(part)) : []
  const paidByOthers = sharing ? (1 - 1 / sharing.users) * bitsOf(Object.fromEntries(shared)) : 0
  const bytes = (bitsOf(encoded) - paidByOthers) / 8
  const bits = (8 * bytes) / sizeOf(shape)
  return {
    name,
    shape,
    codec: configuration.label,
    bits,
    bytes,
    error,
    errorWithoutFeedback,
    plainError,
    seconds,
  }
}
