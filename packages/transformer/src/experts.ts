import { chooseExperts, type GatedMlp, type MixtureOfExperts } from '@reallm/tensor-io/models'
import { mlp } from './mlp.ts'
import { type ForwardOptions, project, type Weights, weightOf } from './modules.ts'
import { embedding, linear } from './ops.ts'
import { type TfTensor, tf } from './tf.ts'

/**
 * What a mixture of experts makes of `[batch, positions, hidden]`. Each expert computes the positions that choose it, as
 * one sequence of them, and none where there are no such; the hooks see the same.
 */
export function experts(
  spec: MixtureOfExperts,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const [batch, length, hidden] = x.shape as [number, number, number]
  const flat = x.reshape([-1, hidden])
  const run = (expert: GatedMlp, x: TfTensor) =>
    project(weights, expert.down, mlp(expert, weights, x, options), options)
  const { shares, reached } = route(spec, weights, flat)
  const parts: TfTensor[] = []
  /** Where the output of each position's choices lies among all. */
  const places = new Int32Array(batch * length * spec.chosen)
  const filled = new Int32Array(batch * length)
  let count = 0
  for (const [e, positions] of reached.entries()) {
    if (positions.length === 0 || isLeftOut(spec.experts[e], options)) continue
    const ids = tf.tensor1d(Int32Array.from(positions), 'int32')
    const y = run(spec.experts[e], embedding(flat, ids).expandDims(0))
    const share = embedding(shares.slice([0, e], [-1, 1]), ids)
    parts.push(y.reshape([-1, hidden]).mul(share))
    for (const t of positions) places[t * spec.chosen + filled[t]++] = count++
  }
  const chosen = tf.tensor2d(places, [batch * length, spec.chosen], 'int32')
  const mixed =
    parts.length === 0 ? tf.zerosLike(x) : embedding(tf.concat(parts), chosen).sum(1).reshape(x.shape)
  return (spec.shared ? mixed.add(run(spec.shared, x)) : mixed) as TfTensor
}

/** Experts that are not looked at, where one is. */
const isLeftOut = ({ gate, up, down }: GatedMlp, { only }: ForwardOptions): boolean =>
  only !== undefined && ![gate.module.name, up.module.name, down.name].includes(only)

/** How much each expert counts at each position, `[positions, experts]`, and the positions that choose each. */
function route(
  { router, chosen, softmaxOver, experts }: MixtureOfExperts,
  weights: Weights,
  x: TfTensor,
): { shares: TfTensor; reached: number[][] } {
  const product = linear(x, weightOf(weights, `${router.name}.weight`))
  const scores = router.bias ? product.add(weightOf(weights, `${router.name}.bias`)) : product
  const reached: number[][] = experts.map(() => [])
  const choices = chooseExperts(scores.dataSync() as Float32Array, experts.length, chosen)
  const isChosen = new Float32Array(scores.size)
  for (const [k, e] of choices.entries()) {
    const position = Math.floor(k / chosen)
    reached[e].push(position)
    isChosen[position * experts.length + e] = 1
  }
  const mask = tf.tensor2d(isChosen, scores.shape as [number, number])
  const shares =
    softmaxOver === 'chosen'
      ? tf.softmax(scores.add(mask.sub(1).mul(1e9)) as TfTensor)
      : tf.softmax(scores as TfTensor).mul(mask)
  return { shares: shares as TfTensor, reached }
}

/** Names of the linear layers that only some positions reach. */
export const routedModules = (spec: MixtureOfExperts): ReadonlySet<string> =>
  new Set(spec.experts.flatMap(({ gate, up, down }) => [gate.module.name, up.module.name, down.name]))
