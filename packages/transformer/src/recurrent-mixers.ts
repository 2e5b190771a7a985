import type { GatedDeltaNet, Mamba2, Norm, ShortConv } from '@reallm/tensor-io/models'
import { causalConv } from './causal-conv.ts'
import { type ForwardOptions, normalise, projectAll, type Weights, weightOf } from './modules.ts'
import { rmsNorm, swiglu } from './ops.ts'
import { recur } from './recurrence.ts'
import { type TfTensor, tf } from './tf.ts'

/** What goes into the output of layer `i`: `[batch, positions, hidden]` → `[batch, positions, hidden]`. */
export function shortConv(
  spec: ShortConv,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const [before, after, value] = projectAll(weights, [spec.before, spec.after, spec.value], x, options)
  const [seen] = options.cache?.state(i) ?? []
  const { y, state } = causalConv(spec.conv, weights, before.mul(value), seen)
  options.cache?.advance(i, x.shape[1]!, [state])
  return after.mul(y)
}

/** What goes into the output of layer `i`: `[batch, positions, hidden]` → `[batch, positions, heads · valueDim]`. */
export function gatedDeltaNet(
  spec: GatedDeltaNet,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const { keyHeads, heads, keyDim, valueDim } = spec
  const [batch, length] = x.shape as [number, number]
  const shared = heads / keyHeads
  const parts = [spec.queryKeyValue, spec.gate, spec.beta, spec.decay]
  const [mixed, gate, beta, decay] = projectAll(weights, parts, x, options)
  const [seen, before] = options.cache?.state(i) ?? []
  const convolved = causalConv(spec.conv, weights, mixed, seen)
  const keyWidth = keyHeads * keyDim
  const [q, k, v] = tf.split(silu(convolved.y), [keyWidth, keyWidth, heads * valueDim], 2)
  const ofGroups = (x: TfTensor) => byGroup(x.reshape([batch, length, keyHeads, keyDim]))
  const perHead = (x: TfTensor) => byHead(x.reshape([batch, length, heads, 1]), shared).squeeze([3])
  const { y, state } = recur({
    queries: unitLength(ofGroups(q)).mul(keyDim ** -0.5),
    keys: unitLength(ofGroups(k)),
    values: byHead(v.reshape([batch, length, heads, valueDim]), shared),
    decay: perHead(logDecay(weights, spec, softplus(decay.add(weightOf(weights, spec.dtBias.name))))),
    beta: perHead(beta.sigmoid()),
    state: before,
  })
  options.cache?.advance(i, length, [convolved.state, state])
  const read = normalise(weights, spec.norm, byPosition(y, batch))
  return read.reshape([batch, length, heads * valueDim]).mul(silu(gate))
}

/** What goes into the output of layer `i`: `[batch, positions, hidden]` → `[batch, positions, heads · headDim]`. */
export function mamba2(
  spec: Mamba2,
  i: number,
  weights: Weights,
  x: TfTensor,
  options: ForwardOptions,
): TfTensor {
  const { heads, headDim, groups, stateDim } = spec
  const [batch, length] = x.shape as [number, number]
  const shared = heads / groups
  const [gate, mixed, steps] = projectAll(weights, [spec.gate, spec.valueKeyQuery, spec.step], x, options)
  const [seen, before] = options.cache?.state(i) ?? []
  const convolved = causalConv(spec.conv, weights, mixed, seen)
  const stateWidth = groups * stateDim
  const [v, k, q] = tf.split(silu(convolved.y), [heads * headDim, stateWidth, stateWidth], 2)
  const step = softplus(steps.add(weightOf(weights, spec.dtBias.name)))
  const ofGroups = (x: TfTensor) => byGroup(x.reshape([batch, length, groups, stateDim]))
  const values = v.reshape([batch, length, heads, headDim])
  const { y, state } = recur({
    queries: ofGroups(q),
    keys: ofGroups(k),
    values: byHead(values.mul(step.expandDims(3)), shared),
    decay: byHead(logDecay(weights, spec, step).expandDims(3), shared).squeeze([3]),
    beta: undefined,
    state: before,
  })
  options.cache?.advance(i, length, [convolved.state, state])
  const skipped = values.mul(weightOf(weights, spec.skip.name).expandDims(1))
  const read = byPosition(y, batch)
    .add(skipped)
    .reshape([batch, length, heads * headDim])
  return groupNorm(weights, spec.norm, groups, swiglu(gate, read))
}

/** RMS norm of each of some groups by itself, over the last axis. */
function groupNorm(weights: Weights, norm: Norm, groups: number, x: TfTensor): TfTensor {
  if (groups === 1) return normalise(weights, norm, x)
  const width = norm.width / groups
  const split = x.reshape([...x.shape.slice(0, -1), groups, width])
  return rmsNorm(split, tf.ones([width]), norm.eps)
    .reshape(x.shape)
    .mul(weightOf(weights, `${norm.name}.weight`))
}

const silu = (x: TfTensor): TfTensor => x.mul(x.sigmoid())
const softplus = (x: TfTensor): TfTensor => tf.softplus(x)

/** `−exp(aLog) · step`, `[batch, positions, heads]`. */
const logDecay = (weights: Weights, { aLog }: GatedDeltaNet | Mamba2, step: TfTensor): TfTensor =>
  step.mul(weightOf(weights, aLog.name).exp().neg())

/** Each vector divided by its length. */
const unitLength = (x: TfTensor): TfTensor => x.mul(x.square().sum(-1, true).add(1e-6).rsqrt())

/** `[batch, positions, groups, width]` → `[batch · groups, positions, width]` */
function byGroup(x: TfTensor): TfTensor {
  const [batch, length, groups, width] = x.shape as [number, number, number, number]
  return x.transpose([0, 2, 1, 3]).reshape([batch * groups, length, width])
}

/** `[batch, positions, heads, width]` → `[batch · groups, heads of each, positions, width]` */
function byHead(x: TfTensor, shared: number): TfTensor {
  const [, length, , width] = x.shape as [number, number, number, number]
  return x.transpose([0, 2, 1, 3]).reshape([-1, shared, length, width])
}

/** `[batch · groups, heads of each, positions, width]` → `[batch, positions, heads, width]` */
function byPosition(x: TfTensor, batch: number): TfTensor {
  const [, , length, width] = x.shape as [number, number, number, number]
  return x.reshape([batch, -1, length, width]).transpose([0, 2, 1, 3])
}
