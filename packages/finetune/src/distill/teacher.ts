import {
  breather,
  createSafetensorsWriter,
  f16ToF32,
  fromFloat32,
  type LongWork,
  openFileSource,
  openSafetensors,
  ReallmError,
  type SafetensorsFile,
} from '@reallm/tensor-io'
import { forward, type TfTensor, type TransformerConfig, tf, type Weights } from '@reallm/transformer'
import { type Batch, collate, type Window } from '../batches.ts'
import { checkUnchanged } from '../checkpoint.ts'
import type { TopK } from './divergence.ts'
import { topK } from './top-k.ts'

/** What the teacher says on each window, computed once. */
export interface TeacherLogits {
  /** Top k of the batch's rows, one after another. */
  of(batch: Batch): Promise<TopK>
  close(): Promise<void>
}

export interface TeacherOptions extends LongWork {
  readonly config: TransformerConfig
  readonly weights: Weights
  readonly windows: readonly Window[]
  /** Tokens kept per position; default 64. */
  readonly k?: number
  /** File to keep them in; default: memory. A finished file of the same teacher and windows is used again. */
  readonly path?: string
  /** What tells this teacher and these windows from others. */
  readonly fingerprint?: Readonly<Record<string, unknown>>
}

interface WindowTopK {
  readonly ids: Uint32Array<ArrayBuffer>
  /** Half floats. */
  readonly logProbs: Uint16Array<ArrayBuffer>
}

/**
 * Runs the teacher over all windows and keeps its top-k log-probabilities, 6 bytes per token kept. Progress:
 * `teacher-window`.
 *
 * @throws `changed-option` when the file at `path` holds something else's
 */
export async function teacherLogits(options: TeacherOptions): Promise<TeacherLogits> {
  const { windows, path, k = 64 } = options
  const width = Math.min(k, options.config.vocabSize)
  if (path === undefined) {
    const kept: WindowTopK[] = []
    await runTeacher(options, width, async (number, top) => void (kept[number] = top))
    return { of: batch => assemble(batch, width, async number => kept[number]), close: async () => {} }
  }
  const fixed = { k: width, count: windows.length, ...options.fingerprint }
  const file = (await openCache(path, fixed)) ?? (await fillCache(options, width, path, fixed))
  return {
    of: batch =>
      assemble(batch, width, async number => ({
        ids: (await file.read(`${number}.ids`)).data as Uint32Array<ArrayBuffer>,
        logProbs: (await file.read(`${number}.log_probs`)).data as Uint16Array<ArrayBuffer>,
      })),
    close: () => file.close(),
  }
}

async function runTeacher(
  { config, weights, windows, onProgress, ...work }: TeacherOptions,
  k: number,
  keep: (number: number, top: WindowTopK) => Promise<void>,
): Promise<void> {
  const start = performance.now()
  const breathe = breather(work)
  for (let number = 0; number < windows.length; number++) {
    await breathe()
    const { ids, rows, length } = collate(windows, [number])
    const logits = tf.tidy(() => {
      const all = forward(config, weights, tf.tensor2d(ids, [rows, length], 'int32'))
      return all.reshape([-1, config.vocabSize]) as TfTensor
    })
    const top = await topK(logits, k)
    logits.dispose()
    await keep(number, { ids: Uint32Array.from(top.ids), logProbs: fromFloat32('F16', top.logProbs) })
    const done = number + 1
    const eta = ((performance.now() - start) / 1000 / done) * (windows.length - done)
    onProgress?.({ event: 'teacher-window', done, total: windows.length, eta })
  }
}

async function openCache(path: string, fixed: Readonly<Record<string, unknown>>) {
  try {
    const file = await openSafetensors(await openFileSource(path))
    checkUnchanged(JSON.parse(file.metadata.teacher ?? '{}'), fixed)
    return file
  } catch (cause) {
    if (cause instanceof ReallmError && cause.code === 'not-found') return undefined
    throw cause
  }
}

async function fillCache(
  options: TeacherOptions,
  k: number,
  path: string,
  fixed: Readonly<Record<string, unknown>>,
): Promise<SafetensorsFile> {
  const planned = options.windows.flatMap((window, number) => {
    const shape = [window.ids.length - 1, k]
    return [
      [`${number}.ids`, { dtype: 'U32', shape }],
      [`${number}.log_probs`, { dtype: 'F16', shape }],
    ] as const
  })
  const writer = await createSafetensorsWriter(path, Object.fromEntries(planned), {
    teacher: JSON.stringify(fixed),
  })
  try {
    await runTeacher(options, k, async (number, { ids, logProbs }) => {
      const shape = [ids.length / k, k]
      await writer.write(`${number}.ids`, { dtype: 'U32', shape, data: ids })
      await writer.write(`${number}.log_probs`, { dtype: 'F16', shape, data: logProbs })
    })
  } catch (cause) {
    await writer.abort()
    throw cause
  }
  await writer.finish()
  return openSafetensors(await openFileSource(path))
}

/** The rows of a batch, shorter windows padded with positions that weigh nothing. */
async function assemble(
  batch: Batch,
  k: number,
  read: (number: number) => Promise<WindowTopK>,
): Promise<TopK> {
  const ids = new Int32Array(batch.rows * batch.length * k)
  const logProbs = new Float32Array(ids.length).fill(Math.log(1 / k))
  for (let i = 0; i < ids.length; i++) ids[i] = i % k
  for (const [row, number] of batch.windows.entries()) {
    const top = await read(number)
    ids.set(top.ids, row * batch.length * k)
    logProbs.set(f16ToF32(top.logProbs), row * batch.length * k)
  }
  return { k, ids, logProbs }
}
