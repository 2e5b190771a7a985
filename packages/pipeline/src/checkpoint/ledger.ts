import {
  bitsOf,
  type EncodedMatrix,
  loadEncoded,
  type Matrix,
  type OnProgress,
  partsOf,
  type Registry,
  saveEncoded,
  sizeOf,
} from '@reallm/tensor-io'
import { join, mkdir } from '#platform'
import type { PlannedMatrix } from '../allocate/allocate-bits.ts'
import type { EncodeResult } from '../encoder/encode-matrix.ts'
import type { MatrixReport } from '../output/report.ts'
import type { Journal } from './journal.ts'

/** The finished matrices of a run, in its journal. */
export interface Ledger {
  readonly matrices: ReadonlyMap<string, MatrixReport>
  /** What a matrix finished earlier decodes to; undefined when it is still to do. */
  decoded(module: string): Promise<Matrix | undefined>
  encoded(module: string): Promise<EncodedMatrix>
  finish(planned: PlannedMatrix, result: EncodeResult): Promise<void>
}

/** Opens the finished matrices of a journal, and reports progress in weights as more are finished. */
export async function openLedger(
  journal: Journal,
  planned: readonly PlannedMatrix[],
  registry: Registry,
  onProgress?: OnProgress,
): Promise<Ledger> {
  const matrices = new Map<string, MatrixReport>()
  await mkdir(join(journal.folder, 'matrices'), { recursive: true })
  const path = (module: string) => join(journal.folder, 'matrices', `${module}.safetensors`)
  const noteOf = (module: string) => `matrices/${module}.json`
  for (const { module } of planned) {
    const note = await journal.read(noteOf(module.name))
    if (note) matrices.set(module.name, JSON.parse(new TextDecoder().decode(note)))
  }
  const weightsOf = (reports: Iterable<MatrixReport>) =>
    [...reports].reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const total = planned.reduce((sum, { module }) => sum + sizeOf(module.shape), 0)
  const before = weightsOf(matrices.values())
  const started = performance.now()

  return {
    matrices,
    async decoded(module) {
      return matrices.has(module) ? registry.decode(await loadEncoded(path(module))) : undefined
    },
    encoded: module => loadEncoded(path(module)),
    async finish({ module, label, sharing }, { encoded, error, errorBefore, plainError, seconds }) {
      const { name, shape } = module
      await saveEncoded(path(name), encoded)
      const shared = sharing
        ? Object.entries(partsOf(encoded)).filter(([part]) => sharing.includes(part))
        : []
      const others = sharing ? (1 - 1 / sharing.users) * bitsOf(Object.fromEntries(shared)) : 0
      const bytes = (bitsOf(encoded) - others) / 8
      const bits = (8 * bytes) / sizeOf(shape)
      const report = {
        name,
        shape,
        codec: label,
        bits,
        bytes,
        error,
        ...(errorBefore !== undefined && { errorBefore }),
        plainError,
        seconds,
      }
      // The note is written last: a matrix without one is done again.
      await journal.write(noteOf(name), JSON.stringify(report))
      matrices.set(name, report)
      const done = weightsOf(matrices.values())
      const eta = ((performance.now() - started) / 1000 / (done - before)) * (total - done)
      onProgress?.({ event: 'matrix-end', name, done, total, eta, error, bytes })
    },
  }
}
