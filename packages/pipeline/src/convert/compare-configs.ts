import { ReallmError } from '@reallm/tensor-io'
import { attentionsOf, type FeedForward, type GatedMlp, type Mixer, mlpsOf } from '@reallm/tensor-io/models'
import type { TransformerConfig } from '@reallm/transformer'

/** What may be called differently: families that share an architecture, and ids that come with the tokenizer. */
const named = new Set(['source', 'family', 'bos', 'eos'])

/** Stored numbers have the precision of float32. */
const tolerance = 1e-5

const hints: Readonly<Record<string, string>> = {
  windows:
    'convert to safetensors; or, for texts no longer than the window, set sliding_window to null and max_position_embeddings to the window in config.json',
}

/**
 * Refuses a configuration that does not say what another one says.
 *
 * @param form what it was put in: `GGUF`
 * @throws `unsupported` naming the first field that differs, with both values
 */
export function requireSameConfig(original: TransformerConfig, found: TransformerConfig, form: string): void {
  const [wanted, got] = [comparable(original), comparable(found)]
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(got)])) {
    if (named.has(key) || isSame(wanted[key], got[key])) continue
    const values =
      key === 'ropes' ? ropeText(original) : `${text(wanted[key])}, it would be ${text(got[key])}`
    throw new ReallmError('unsupported', `${form} cannot hold this model's ${key}: ${values}`, {
      hint: hints[key] ?? 'convert to safetensors instead',
    })
  }
}

/** A configuration with what its layers differ in from other models under names of their own. */
function comparable({ layerSpecs, ...config }: TransformerConfig): Record<string, unknown> {
  const { maxPositions } = config
  const attentions = attentionsOf(layerSpecs)
  return {
    ...config,
    // A window as long as the longest text cuts nothing off.
    windows: attentions.map(({ window }) => (window === undefined || window >= maxPositions ? null : window)),
    ropes: attentions.map(({ rope }) => rope ?? null),
    activation: common(layerSpecs.map(({ ffn }) => mlpsOf(ffn)[0].activation)),
    attentionScale: common(attentions.map(({ scale }) => scale)),
    attentionSoftcap: common(attentions.map(({ softcap }) => softcap)),
    layerSpecs: layerSpecs.map(({ mixer, ffn, ...spec }) => {
      return { ...spec, mixer: withoutNamed(mixer), ffn: withoutActivation(ffn) }
    }),
  }
}

function withoutNamed(mixer: Mixer): object {
  if (mixer.kind !== 'attention') return mixer
  const { window: _, rope, scale, softcap, ...attention } = mixer
  return attention
}

function withoutActivation(ffn: FeedForward): object {
  const rest = ({ activation, ...mlp }: GatedMlp) => mlp
  if (ffn.kind === 'gated-mlp') return rest(ffn)
  // How a directory stacks them is its own affair.
  const { stacks, ...mixture } = ffn
  return { ...mixture, experts: ffn.experts.map(rest), shared: ffn.shared && rest(ffn.shared) }
}

const common = (values: readonly unknown[]): unknown =>
  values.every(value => value === values[0]) ? values[0] : values

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return a === b || Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b))
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return keys.every(key => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}

const text = (value: unknown): string => {
  const json = JSON.stringify(value) ?? 'nothing'
  return json.length > 100 ? `${json.slice(0, 100)}…` : json
}

const ropeText = ({ source }: TransformerConfig): string =>
  text(source.rope_parameters ?? source.rope_scaling ?? { rope_theta: source.rope_theta })
