import { encodeSafetensors, type Tensor, writeFileAtomic } from '@reallm/tensor-io'
import { configName, weightsName } from '@reallm/tensor-io/adapter'
import type { Adapter } from '@reallm/tensor-io/models'

/**
 * The files of an adapter as PEFT writes them, by name, for example to download from a page. Scalings that differ
 * between modules go into `alpha_pattern`, ranks into `rank_pattern`.
 */
export function encodeAdapter(adapter: Adapter): Record<string, Uint8Array<ArrayBuffer>> {
  const tensors: Record<string, Tensor> = {}
  const names = [...adapter.modules.keys()].sort()
  const ranks: Record<string, number> = {}
  const alphas: Record<string, number> = {}
  for (const name of names) {
    const { a, b, scaling, magnitude } = adapter.modules.get(name)!
    tensors[`base_model.model.${name}.lora_A.weight`] = a
    tensors[`base_model.model.${name}.lora_B.weight`] = b
    if (magnitude) tensors[`base_model.model.${name}.lora_magnitude_vector`] = magnitude
    ranks[name] = a.shape[0]
    alphas[name] = scaling * a.shape[0]
  }
  const r = commonest(Object.values(ranks))
  const alpha = commonest(Object.values(alphas))
  const others = (values: Record<string, number>, common: number) =>
    Object.fromEntries(
      Object.entries(values)
        .filter(([, value]) => value !== common)
        .map(([name, value]) => [literal(name), value]),
    )
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: adapter.base ?? null,
    r,
    lora_alpha: alpha,
    rank_pattern: others(ranks, r),
    alpha_pattern: others(alphas, alpha),
    target_modules: names,
    use_dora: names.some(name => adapter.modules.get(name)!.magnitude),
    use_rslora: false,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    lora_dropout: 0,
    modules_to_save: null,
  }
  return {
    [weightsName]: encodeSafetensors(tensors, { format: 'pt' }),
    [configName]: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`),
  }
}

/**
 * Writes an adapter into a directory, as PEFT does.
 *
 * @example
 * await writeAdapter('my-adapter', { modules: new Map([[name, { a, b, scaling: 2 }]]), base: 'npm:@reallm/tiny' })
 */
export async function writeAdapter(directory: string, adapter: Adapter): Promise<void> {
  for (const [name, contents] of Object.entries(encodeAdapter(adapter))) {
    await writeFileAtomic(`${directory}/${name}`, contents)
  }
}

/** The keys of PEFT's patterns are regular expressions. */
const literal = (name: string) => name.replaceAll('.', '\\.')

function commonest(values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 1
}
