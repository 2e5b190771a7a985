import { ReallmError } from '../core/errors.ts'
import type { GgufValue } from '../formats/gguf/values.ts'
import type { StoredInGguf, TiledHeads } from './gguf-values.ts'
import type { CausalConv, GatedDeltaNet, LayerSpec, Mamba2, Mixer, ShortConv } from './layer-spec.ts'

type Recurrent = Exclude<Mixer, { readonly kind: 'attention' | 'shared-attention' }>
type Stored = readonly [tensor: string, stored: StoredInGguf]

const plain = (name: string, more: Partial<StoredInGguf> = {}): StoredInGguf => ({
  name,
  interleavedHeads: 0,
  added: 0,
  ...more,
})

/** How llama.cpp stores the tensors of a mixer that does not attend, in layer `block` (`blk.3`). */
export function recurrentTensors(mixer: Recurrent, block: string): readonly Stored[] {
  switch (mixer.kind) {
    case 'short-conv':
      return shortConv(mixer, block)
    case 'gated-delta-net':
      return gatedDeltaNet(mixer, block)
    case 'mamba2':
      return mamba2(mixer, block)
  }
}

const ofModule = (module: string, name: string): Stored[] =>
  ['weight', 'bias'].map(kind => [`${module}.${kind}`, plain(`${name}.${kind}`)] as const)

/** Without the axis of one. */
const ofConv = (
  { channels, kernel, weight, bias }: CausalConv,
  name: string,
  tiled?: TiledHeads,
): Stored[] => [
  [weight.name, plain(`${name}.weight`, { shape: [channels, kernel], ...(tiled && { tiled }) })],
  ...(bias ? [[bias.name, plain(`${name}.bias`)] as const] : []),
]

const shortConv = ({ value, conv, output }: ShortConv, block: string): Stored[] => [
  ...ofModule(value.module.name, `${block}.shortconv.in_proj`),
  ...ofConv(conv, `${block}.shortconv.conv`),
  ...ofModule(output.name, `${block}.shortconv.out_proj`),
]

function mamba2(mixer: Mamba2, block: string): Stored[] {
  const { heads, groups, gate, conv, aLog, dtBias, skip, norm, output } = mixer
  const ofHeads = { shape: [heads, 1] }
  return [
    ...ofModule(gate.module.name, `${block}.ssm_in`),
    ...ofConv(conv, `${block}.ssm_conv1d`),
    [aLog.name, plain(`${block}.ssm_a`, { ...ofHeads, negatedExponential: true })],
    [skip.name, plain(`${block}.ssm_d`, ofHeads)],
    [dtBias.name, plain(`${block}.ssm_dt.bias`)],
    [`${norm.name}.weight`, plain(`${block}.ssm_norm.weight`, { shape: [groups, norm.width / groups] })],
    ...ofModule(output.name, `${block}.ssm_out`),
  ]
}

/** What is of value heads lies in another order, for products that repeat the keys' heads as a whole. */
function gatedDeltaNet(mixer: GatedDeltaNet, block: string): Stored[] {
  const { keyHeads, heads, keyDim, valueDim, conv, norm, output } = mixer
  const tiled = (axis: 'rows' | 'columns', from: number, width: number): Pick<StoredInGguf, 'tiled'> =>
    heads === keyHeads ? {} : { tiled: { axis, from, groups: keyHeads, shared: heads / keyHeads, width } }
  const values = tiled('rows', 2 * keyHeads * keyDim, valueDim)
  const perHead = tiled('rows', 0, 1)
  const matrix = (module: string, name: string, order: Pick<StoredInGguf, 'tiled'>): Stored => [
    `${module}.weight`,
    plain(`${block}.${name}.weight`, order),
  ]
  return [
    matrix(mixer.queryKeyValue.module.name, 'attn_qkv', values),
    matrix(mixer.gate.module.name, 'attn_gate', tiled('rows', 0, valueDim)),
    matrix(mixer.beta.module.name, 'ssm_beta', perHead),
    matrix(mixer.decay.module.name, 'ssm_alpha', perHead),
    ...ofConv(conv, `${block}.ssm_conv1d`, values.tiled),
    [mixer.aLog.name, plain(`${block}.ssm_a`, { ...perHead, negatedExponential: true })],
    [mixer.dtBias.name, plain(`${block}.ssm_dt.bias`, perHead)],
    [`${norm.name}.weight`, plain(`${block}.ssm_norm.weight`)],
    matrix(output.name, 'ssm_out', tiled('columns', 0, valueDim)),
  ]
}

const whole = (value: number): GgufValue => ({ type: 'uint32', value })

/** What the metadata say of mixers that do not attend, below the architecture. */
export function recurrentMetadata(layers: readonly LayerSpec[]): Record<string, GgufValue> {
  for (const { mixer } of layers) {
    switch (mixer.kind) {
      case 'short-conv':
        return { 'shortconv.l_cache': whole(mixer.conv.kernel) }
      case 'mamba2': {
        const { heads, headDim, groups, stateDim, conv } = mixer
        return ssm(conv.kernel, stateDim, groups, heads, heads * headDim)
      }
      case 'gated-delta-net': {
        const { heads, keyHeads, keyDim, valueDim, conv } = mixer
        if (keyDim === valueDim) return ssm(conv.kernel, keyDim, keyHeads, heads, heads * valueDim)
        const what = `keys of ${keyDim} and values of ${valueDim}`
        throw new ReallmError('unsupported', `the model cannot be written to GGUF: ${what} must be as wide`, {
          hint: 'convert to safetensors instead',
        })
      }
    }
  }
  return {}
}

const ssm = (kernel: number, state: number, groups: number, heads: number, inner: number) => ({
  'ssm.conv_kernel': whole(kernel),
  'ssm.state_size': whole(state),
  'ssm.group_count': whole(groups),
  'ssm.time_step_rank': whole(heads),
  'ssm.inner_size': whole(inner),
})
