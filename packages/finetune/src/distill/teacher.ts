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
  streamWidth,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import { type Batch, collate, type Sequence } from '../batches.ts'
import type { TopK } from './divergence.ts'
import { directions } from './hidden-states.ts'
import { topK } from './top-k.ts'

/** A teacher's predictions for a batch: the top k of its rows, one after another. */
export interface Teaching extends TopK {
  /**
   * Directions of the hidden states after each block, `[rows · length · hidden]` half floats, if requested.
   */
  readonly directions?: readonly Uint16Array<ArrayBuffer>[] | undefined
}

/** The teacher's predictions for each sequence, computed once. */
export interface TeacherLogits {
  of(batch: Batch): Promise<Teaching>
}

/** What is kept of a teacher's predictions. */
export interface TeacherOptions extends LongWork {
  readonly config: TransformerConfig
  readonly weights: Weights
  readonly sequences: readonly Sequence[]
  /** Tokens kept per position; default 64. */
  readonly k?: number | undefined
  /** Also keep the directions of the hidden states after each block: 2 bytes per block, position and channel. */
  readonly hidden?: boolean | undefined
  /**
   * Directory to keep them in, a file per sequence; default: memory. What is there of the same teacher and text is not
   * computed again.
   */
  readonly path?: string | undefined
  /** Identifies this teacher and these sequences. */
  readonly fingerprint?: Readonly<Record<string, unknown>> | undefined
}

interface SequenceTeaching {
  readonly ids: Uint32Array<ArrayBuffer>
  /** Half floats. */
  readonly logProbs: Uint16Array<ArrayBuffer>
  readonly directions: readonly Uint16Array<ArrayBuffer>[]
}

/** Where sequences' predictions are kept. */
interface Kept {
  get(number: number): Promise<SequenceTeaching | undefined>
  put(number: number, top: SequenceTeaching): Promise<void>
}

/**
 * Runs the teacher over all sequences and keeps its top-k log-probabilities, 6 bytes per token kept. Progress:
 * `teacher-end`.
 *
 * @throws `changed-option` when the files at `path` are of another teacher or text
 */
export async function teacherLogits(options: TeacherOptions): Promise<TeacherLogits> {
  const { config, sequences, path, k = 64, hidden = false, onProgress } = options
  const width = Math.min(k, config.vocabSize)
  const fixed = { k: width, hidden: hidden || undefined, ...options.fingerprint }
  const kept = path === undefined ? inMemory() : inFiles(path, fixed, hidden ? config.layers : 0)
  const breathe = breather(options)
  const start = performance.now()
  let computed = 0
  for (let number = 0; number < sequences.length; number++) {
    await breathe()
    if (await kept.get(number)) continue
    await kept.put(number, await predict(options, number, width))
    computed++
    const done = number + 1
    const eta = ((performance.now() - start) / 1000 / computed) * (sequences.length - done)
    onProgress?.({ event: 'teacher-end', done, total: sequences.length, eta })
  }
  return { of: batch => assemble(batch, width, kept, streamWidth(config)) }
}

async function predict(
  { config, weights, sequences, hidden }: TeacherOptions,
  number: number,
  k: number,
): Promise<SequenceTeaching> {
  const { ids, rows, length } = collate(sequences, [number])
  let x = tf.tidy(() => embed(config, weights, tf.tensor2d(ids, [rows, length], 'int32')))
  const byBlock: Uint16Array<ArrayBuffer>[] = []
  for (let i = 0; i < config.layers; i++) {
    const next = block(config, weights, i, x)
    x.dispose()
    x = next
    if (!hidden) continue
    const unit = directions(x)
    byBlock.push(fromFloat32('F16', (await unit.data()) as Float32Array))
    unit.dispose()
  }
  const logits = tf.tidy(() => head(config, weights, x).reshape([-1, config.vocabSize]) as TfTensor)
  const top = await topK(logits, k)
  tf.dispose([x, logits])
  return { ids: Uint32Array.from(top.ids), logProbs: fromFloat32('F16', top.logProbs), directions: byBlock }
}

function inMemory(): Kept {
  const all: SequenceTeaching[] = []
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

/** The rows of a batch, shorter sequences padded with positions of weight 0. */
async function assemble(batch: Batch, k: number, kept: Kept, stateWidth: number): Promise<Teaching> {
  const positions = batch.rows * batch.length
  const ids = new Int32Array(positions * k)
  const logProbs = new Float32Array(ids.length).fill(Math.log(1 / k))
  for (let i = 0; i < ids.length; i++) ids[i] = i % k
  let byBlock: Uint16Array<ArrayBuffer>[] | undefined
  for (const [row, number] of batch.sequences.entries()) {
    const sequence = (await kept.get(number))!
    const first = row * batch.length
    ids.set(sequence.ids, first * k)
    logProbs.set(f16ToF32(sequence.logProbs), first * k)
    byBlock ??= sequence.directions.map(() => new Uint16Array(positions * stateWidth))
    for (const [i, states] of byBlock.entries()) states.set(sequence.directions[i], first * stateWidth)
  }
  return { k, ids, logProbs, directions: byBlock?.length ? byBlock : undefined }
}
