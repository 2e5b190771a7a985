import type { Tensor } from '../../core/tensor.ts'

/** What an adapter does to one linear layer: `W' = W + scaling · B A`, for DoRA `m ⊙ (W + scaling · B A) / ‖·‖_row`. */
export interface AdapterModule {
  /** `[rank, in]` */
  readonly a: Tensor<'F32'>
  /** `[out, rank]` */
  readonly b: Tensor<'F32'>
  readonly scaling: number
  /** DoRA's row norms, `[out]`. */
  readonly magnitude?: Tensor<'F32'> | undefined
}

/** A LoRA, rsLoRA or DoRA adapter: its changes by module (`model.layers.0.self_attn.q_proj`). */
export interface Adapter {
  readonly modules: ReadonlyMap<string, AdapterModule>
  /** Name of the model it was trained on. */
  readonly base?: string | undefined
}

/** Names of PEFT's files. */
export const configName = 'adapter_config.json'
/** The file of an adapter's weights. */
export const weightsName = 'adapter_model.safetensors'
