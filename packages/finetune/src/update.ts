import { ReallmError } from '@reallm/tensor-io'
import { type Tf, type TfTensor, tf } from '@reallm/transformer'
import type { AdamW, Parameters } from '@reallm/transformer/adamw'
import type { Batch, BatchSource } from './batches.ts'

type TfScalar = ReturnType<Tf['scalar']>

export interface UpdateOptions {
  /** What is trained; the caller's variables, changed in place. */
  readonly parameters: Parameters
  readonly batches: BatchSource
  /** *Sum* of the losses of a batch's scored tokens, a differentiable scalar; divided by their number here. */
  loss(batch: Batch): TfTensor
  /** Called before `loss` of the same batch, to fetch what it needs (a teacher's logits). */
  readonly prepare?: ((batch: Batch) => Promise<void>) | undefined
  /** Batches per optimiser step; default 1. */
  readonly accumulate?: number | undefined
  /** Largest norm of all gradients together; default 1. */
  readonly clip?: number | undefined
}

/** The error for a loss that is not finite after so many steps, with what helps: the first loss depends on no learning rate. */
export const diverged = (what: string, steps: number): ReallmError =>
  new ReallmError('numeric', what, {
    hint:
      steps === 0
        ? 'the weights or the data are at fault: see reallm eval'
        : 'use a lower learning rate (--learning-rate)',
  })

/**
 * One optimiser step: gradients of `accumulate` batches added up, divided by the number of scored tokens, clipped.
 * Returns the loss before the step, in nats per scored token, and the norm of the gradient before clipping.
 *
 * @param beforeUpdate called when loss and gradient are known to be finite, with the parameters as they were
 * @throws `numeric` when one of them is not; `bad-option` when no token of the batches is scored
 */
export async function updateOnce(
  options: UpdateOptions,
  optimizer: AdamW,
  step: number,
  learningRate: number,
  beforeUpdate: () => Promise<void>,
): Promise<{ loss: number; gradientNorm: number }> {
  const { accumulate = 1, clip = 1 } = options
  const batches = Array.from({ length: accumulate }, (_, i) => options.batches.batch(step * accumulate + i))
  const scored = batches.reduce((n, batch) => n + batch.scored, 0)
  if (scored === 0) {
    throw new ReallmError('bad-option', `the batches of step ${step + 1} have no token to learn`, {
      hint: 'leave out sequences in which every weight is 0',
    })
  }
  const gradients = new Map<string, TfTensor>()
  let total = 0
  try {
    for (const batch of batches) total += await addGradients(options, batch, gradients)
    const loss = total / scored
    if (!Number.isFinite(loss)) throw diverged(`the loss of step ${step + 1} is ${loss}`, step)
    const norm = tf.tidy(() => normOf([...gradients.values()]).div(scored))
    const scale = tf.tidy(() => tf.minimum(1, tf.div(clip, norm.add(1e-6))).div(scored))
    try {
      const [gradientNorm] = await norm.data()
      if (!Number.isFinite(gradientNorm)) {
        throw diverged(`the gradient of step ${step + 1} is ${gradientNorm}`, step)
      }
      await beforeUpdate()
      optimizer.step(gradients, learningRate, scale)
      return { loss, gradientNorm }
    } finally {
      tf.dispose([norm, scale])
    }
  } finally {
    tf.dispose([...gradients.values()])
  }
}

/** Adds a batch's gradients to `sums` and returns its summed loss. */
async function addGradients(
  { parameters, loss, prepare }: UpdateOptions,
  batch: Batch,
  sums: Map<string, TfTensor>,
): Promise<number> {
  if (batch.scored === 0) return 0
  await prepare?.(batch)
  const { value, grads } = tf.variableGrads(() => loss(batch) as TfScalar, [...parameters.values()])
  for (const [name, variable] of parameters) {
    const gradient = grads[variable.name]
    if (!gradient) continue
    const before = sums.get(name)
    sums.set(name, before ? tf.add(before, gradient) : gradient)
    if (before) tf.dispose([before, gradient])
  }
  const [sum] = await value.data()
  value.dispose()
  return sum
}

/** Euclidean norm of all tensors together. */
const normOf = (tensors: readonly TfTensor[]): TfTensor =>
  tf.addN(tensors.map(t => t.square().sum())).sqrt() as TfTensor
