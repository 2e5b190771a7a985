import {
  breather,
  encodeSafetensors,
  f16ToF32,
  fromFloat32,
  type LongWork,
  openFileSource,
  openSafetensors,
  ReallmError,
  writeFileAtomic,
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
}

export interface TeacherOptions extends LongWork {
  readonly config: TransformerConfig
  readonly weights: Weights
  readonly windows: readonly Window[]
  /** Tokens kept per position; default 64. */
  readonly k?: number
  /**
   * Directory to keep them in, a file per window; default: memory. Windows that are there already, of the same teacher
   * and text, are not computed again.
   */
  readonly path?: string
  /** What tells this teacher and these windows from others. */
  readonly fingerprint?: Readonly<Record<string, unknown>>
}

interface WindowTopK {
  readonly ids: Uint32Array<ArrayBuffer>
  /** Half floats. */
  readonly logProbs: Uint16Array<ArrayBuffer>
}

/** Where windows' predictions are kept. */
interface Kept {
  get(number: number): Promise<WindowTopK | undefined>
  put(number: number, top: WindowTopK): Promise<void>
}

/**
 * Runs the teacher over all windows and keeps its top-k log-probabilities, 6 bytes per token kept. Progress:
 * `teacher-window`.
 *
 * @throws `changed-option` when the files at `path` hold something else's
 */
export async function teacherLogits(options: TeacherOptions): Promise<TeacherLogits> {
  const { config, weights, windows, path, k = 64, onProgress } = options
  const width = Math.min(k, config.vocabSize)
  const kept = path === undefined ? inMemory() : inFiles(path, { k: width, ...options.fingerprint })
  const breathe = breather(options)
  const start = performance.now()
  let computed = 0
  for (let number = 0; number < windows.length; number++) {
    await breathe()
    if (await kept.get(number)) continue
    await kept.put(number, await predict(config, weights, windows, number, width))
    computed++
    const done = number + 1
    const eta = ((performance.now() - start) / 1000 / computed) * (windows.length - done)
    onProgress?.({ event: 'teacher-window', done, total: windows.length, eta })
  }
  return { of: batch => assemble(batch, width, kept) }
}

async function predict(
  config: TransformerConfig,
  weights: Weights,
  windows: readonly Window[],
  number: number,
  k: number,
): Promise<WindowTopK> {
  const { ids, rows, length } = collate(windows, [number])
  const logits = tf.tidy(() => {
    const all = forward(config, weights, tf.tensor2d(ids, [rows, length], 'int32'))
    return all.reshape([-1, config.vocabSize]) as TfTensor
  })
  const top = await topK(logits, k)
  logits.dispose()
  return { ids: Uint32Array.from(top.ids), logProbs: fromFloat32('F16', top.logProbs) }
}

function inMemory(): Kept {
  const all: WindowTopK[] = []
  return {
    get: async number => all[number],
    put: async (number, top) => {
      all[number] = top
    },
  }
}

function inFiles(directory: string, fixed: Readonly<Record<string, unknown>>): Kept {
  const pathOf = (number: number) => `${directory}/${number}.safetensors`
  return {
    async get(number) {
      const source = await openFileSource(pathOf(number)).catch((cause: unknown) => {
        if (cause instanceof ReallmError && cause.code === 'not-found') return undefined
        throw cause
      })
      if (!source) return undefined
      try {
        const file = await openSafetensors(source)
        checkUnchanged(JSON.parse(file.metadata.teacher ?? '{}'), fixed)
        return {
          ids: (await file.read('ids')).data as Uint32Array<ArrayBuffer>,
          logProbs: (await file.read('log_probs')).data as Uint16Array<ArrayBuffer>,
        }
      } finally {
        await source.close()
      }
    },
    put(number, { ids, logProbs }) {
      const tensors = {
        ids: { dtype: 'U32', shape: [ids.length], data: ids },
        log_probs: { dtype: 'F16', shape: [ids.length], data: logProbs },
      } as const
      return writeFileAtomic(pathOf(number), encodeSafetensors(tensors, { teacher: JSON.stringify(fixed) }))
    },
  }
}

/** The rows of a batch, shorter windows padded with positions that weigh nothing. */
async function assemble(batch: Batch, k: number, kept: Kept): Promise<TopK> {
  const ids = new Int32Array(batch.rows * batch.length * k)
  const logProbs = new Float32Array(ids.length).fill(Math.log(1 / k))
  for (let i = 0; i < ids.length; i++) ids[i] = i % k
  for (const [row, number] of batch.windows.entries()) {
    const top = (await kept.get(number))!
    ids.set(top.ids, row * batch.length * k)
    logProbs.set(f16ToF32(top.logProbs), row * batch.length * k)
  }
  return { k, ids, logProbs }
}
