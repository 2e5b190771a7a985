import {
  breather,
  checkUnchanged,
  encodeSafetensors,
  f16ToF32,
  fromFloat32,
  type LongWork,
  openFileSource,
  openSafetensors,
  ReallmError,
  tensor,
  writeFileAtomic,
} from '@reallm/tensor-io'
import {
  block,
  embed,
  head,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import { type Batch, collate, type Window } from '../batches.ts'
import type { TopK } from './divergence.ts'
import { directions } from './hidden-states.ts'
import { topK } from './top-k.ts'

/** What a teacher says on a batch: the top k of its rows, one after another. */
export interface Teaching extends TopK {
  /**
   * Directions of the hidden states behind each block, `[rows · length · hidden]` half floats, when they were asked for.
   */
  readonly directions?: readonly Uint16Array<ArrayBuffer>[] | undefined
}

/** What the teacher says on each window, computed once. */
export interface TeacherLogits {
  of(batch: Batch): Promise<Teaching>
}

export interface TeacherOptions extends LongWork {
  readonly config: TransformerConfig
  readonly weights: Weights
  readonly windows: readonly Window[]
  /** Tokens kept per position; default 64. */
  readonly k?: number | undefined
  /** Keep the directions of the hidden states behind each block too: 2 bytes per block, position and channel. */
  readonly hidden?: boolean | undefined
  /**
   * Directory to keep them in, a file per window; default: memory. Windows that are there already, of the same teacher
   * and text, are not computed again.
   */
  readonly path?: string | undefined
  /** What tells this teacher and these windows from others. */
  readonly fingerprint?: Readonly<Record<string, unknown>> | undefined
}

interface WindowTeaching {
  readonly ids: Uint32Array<ArrayBuffer>
  /** Half floats. */
  readonly logProbs: Uint16Array<ArrayBuffer>
  readonly directions: readonly Uint16Array<ArrayBuffer>[]
}

/** Where windows' predictions are kept. */
interface Kept {
  get(number: number): Promise<WindowTeaching | undefined>
  put(number: number, top: WindowTeaching): Promise<void>
}

/**
 * Runs the teacher over all windows and keeps its top-k log-probabilities, 6 bytes per token kept. Progress:
 * `teacher-window`.
 *
 * @throws `changed-option` when the files at `path` hold something else's
 */
export async function teacherLogits(options: TeacherOptions): Promise<TeacherLogits> {
  const { config, windows, path, k = 64, hidden = false, onProgress } = options
  const width = Math.min(k, config.vocabSize)
  const fixed = { k: width, hidden: hidden || undefined, ...options.fingerprint }
  const kept = path === undefined ? inMemory() : inFiles(path, fixed, hidden ? config.layers : 0)
  const breathe = breather(options)
  const start = performance.now()
  let computed = 0
  for (let number = 0; number < windows.length; number++) {
    await breathe()
    if (await kept.get(number)) continue
    await kept.put(number, await predict(options, number, width))
    computed++
    const done = number + 1
    const eta = ((performance.now() - start) / 1000 / computed) * (windows.length - done)
    onProgress?.({ event: 'teacher-window', done, total: windows.length, eta })
  }
  return { of: batch => assemble(batch, width, kept, config.hiddenSize) }
}

async function predict(
  { config, weights, windows, hidden }: TeacherOptions,
  number: number,
  k: number,
): Promise<WindowTeaching> {
  const { ids, rows, length } = collate(windows, [number])
  let x = tf.tidy(() => embed(config, weights, tf.tensor2d(ids, [rows, length], 'int32')))
  const behind: Uint16Array<ArrayBuffer>[] = []
  for (let i = 0; i < config.layers; i++) {
    const next = block(config, weights, i, x)
    x.dispose()
    x = next
    if (!hidden) continue
    const turned = directions(x)
    behind.push(fromFloat32('F16', (await turned.data()) as Float32Array))
    turned.dispose()
  }
  const logits = tf.tidy(() => head(config, weights, x).reshape([-1, config.vocabSize]) as TfTensor)
  const top = await topK(logits, k)
  tf.dispose([x, logits])
  return { ids: Uint32Array.from(top.ids), logProbs: fromFloat32('F16', top.logProbs), directions: behind }
}

function inMemory(): Kept {
  const all: WindowTeaching[] = []
  return {
    get: async number => all[number],
    put: async (number, top) => {
      all[number] = top
    },
  }
}

function inFiles(directory: string, fixed: Readonly<Record<string, unknown>>, blocks: number): Kept {
  const halves = async (file: Awaited<ReturnType<typeof openSafetensors>>, name: string) =>
    (await file.read(name)).data as Uint16Array<ArrayBuffer>
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
          logProbs: await halves(file, 'log_probs'),
          directions: await Promise.all(Array.from({ length: blocks }, (_, i) => halves(file, `block_${i}`))),
        }
      } finally {
        await source.close()
      }
    },
    put(number, { ids, logProbs, directions }) {
      const tensors = {
        ids: tensor('U32', [ids.length], ids),
        log_probs: tensor('F16', [ids.length], logProbs),
        ...Object.fromEntries(directions.map((d, i) => [`block_${i}`, tensor('F16', [d.length], d)])),
      }
      return writeFileAtomic(pathOf(number), encodeSafetensors(tensors, { teacher: JSON.stringify(fixed) }))
    },
  }
}

/** The rows of a batch, shorter windows padded with positions that weigh nothing. */
async function assemble(batch: Batch, k: number, kept: Kept, hiddenSize: number): Promise<Teaching> {
  const positions = batch.rows * batch.length
  const ids = new Int32Array(positions * k)
  const logProbs = new Float32Array(ids.length).fill(Math.log(1 / k))
  for (let i = 0; i < ids.length; i++) ids[i] = i % k
  let behind: Uint16Array<ArrayBuffer>[] | undefined
  for (const [row, number] of batch.windows.entries()) {
    const window = (await kept.get(number))!
    const first = row * batch.length
    ids.set(window.ids, first * k)
    logProbs.set(f16ToF32(window.logProbs), first * k)
    behind ??= window.directions.map(() => new Uint16Array(positions * hiddenSize))
    for (const [i, states] of behind.entries()) states.set(window.directions[i], first * hiddenSize)
  }
  return { k, ids, logProbs, directions: behind?.length ? behind : undefined }
}
