import {
  type CheckpointStore,
  decodeCheckpoint,
  encodeCheckpoint,
  seedFor,
  type Tensor,
  tensor,
} from '@reallm/tensor-io'
import { type TfTensor, tf } from '@reallm/transformer'

type Variable = ReturnType<typeof tf.variable>
type Adam = ReturnType<typeof tf.train.adam>

/** Running powers of β₁ and β₂, which Adam's own state dictionary leaves out. */
const powersOf = (adam: Adam) =>
  adam as unknown as { readonly accBeta1: Variable; readonly accBeta2: Variable }

/** Progress of a training. */
export interface Progress {
  readonly losses: readonly number[]
  /** The smoothed loss; the least one so far and its step. */
  readonly smooth?: number
  readonly best?: { readonly loss: number; readonly step: number }
}

/** Saves variables, optimiser state and progress; `restoreAdam` resumes from them bit for bit. */
export async function saveAdam(
  store: CheckpointStore,
  adam: Adam,
  variables: readonly Variable[],
  progress: Progress,
): Promise<void> {
  const { accBeta1, accBeta2 } = powersOf(adam)
  const tensors = new Map<string, Tensor<'F32'>>()
  const add = async (name: string, t: TfTensor) =>
    tensors.set(name, tensor('F32', t.shape, Float32Array.from(await t.data())))
  for (const [i, v] of variables.entries()) await add(`variable.${i}`, v)
  // the first is the number of steps
  const [steps, ...moments] = await adam.getWeights()
  for (const [i, { tensor: t }] of [steps, ...moments].entries()) await add(`adam.${i}`, t)
  steps.tensor.dispose()
  await add('power.0', accBeta1)
  await add('power.1', accBeta2)
  const notes = progress as unknown as Record<string, unknown>
  await store.save(encodeCheckpoint({ step: progress.losses.length, options: {}, tensors, notes }))
}

/** Restores the saved state of variables and optimiser; undefined where nothing was saved. */
export async function restoreAdam(
  store: CheckpointStore,
  adam: Adam,
  variables: readonly Variable[],
): Promise<Progress | undefined> {
  const bytes = await store.load()
  if (!bytes) return undefined
  const { tensors, notes } = await decodeCheckpoint(bytes)
  const read = (name: string) => {
    const { data, shape } = tensors.get(name)!
    return tf.tensor(data, [...shape])
  }
  tf.tidy(() => {
    for (const [i, v] of variables.entries()) v.assign(read(`variable.${i}`))
  })
  const count = [...tensors.keys()].filter(name => name.startsWith('adam.')).length
  const state = Array.from({ length: count }, (_, i) => ({
    name: i === 0 ? 'iter' : `${i}`,
    tensor: read(`adam.${i}`),
  }))
  await adam.setWeights(state)
  tf.dispose(state.map(s => s.tensor))
  const { accBeta1, accBeta2 } = powersOf(adam)
  tf.tidy(() => {
    accBeta1.assign(read('power.0').asScalar())
    accBeta2.assign(read('power.1').asScalar())
  })
  return notes as unknown as Progress
}

/** Identifies a training by its targets and settings. */
export function fingerprint(data: readonly Float32Array[], settings: string): string {
  let hash = seedFor(0, settings)
  for (const values of data) {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
    for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i], 16777619)
  }
  return (hash >>> 0).toString(16)
}
