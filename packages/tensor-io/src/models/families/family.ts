import type { GgufValue } from '../../formats/gguf/values.ts'
import type { ConfigDefaults, ConfigReader, HuggingFaceConfig } from '../config-reader.ts'
import type { RopeTensors } from '../gguf-rope.ts'
import type { LayerSpec, PerLayerInputs } from '../layer-spec.ts'
import type { RopeParameters } from '../rope.ts'

/** What a model family is: how its `config.json` becomes layers, and what GGUF calls it. */
export interface Family extends ConfigDefaults {
  /** `model_type` of its config.json. */
  readonly modelType: string
  /** Its models, as people name them. */
  readonly models: string
  /** What sets its layers apart from Llama's, in a few words. */
  readonly differs: string
  /** Entry of `architectures`. */
  readonly architecture: string
  readonly gguf: GgufFamily
  /** Keys of its config.json that say nothing about what is computed, or say it again. */
  readonly ignores?: readonly string[]
  /** Name of the norm after the last layer; default `model.norm`. */
  readonly lastNorm?: string
  layer(config: ConfigReader, i: number): LayerSpec
  /** A second embedding of the tokens, for the layers. */
  perLayerInputs?(config: ConfigReader): PerLayerInputs | undefined
  /** Factor of the embeddings. */
  embeddingScale?(config: ConfigReader): number
  /** Factor of the logits. */
  logitScale?(config: ConfigReader): number
}

/** How llama.cpp stores a family, and what it computes with beside what all architectures have. */
export interface GgufFamily {
  /** `general.architecture` */
  readonly architecture: string
  /** The rows of q and k are stored pairwise interleaved. */
  readonly permutes?: true
  /** All heads together are as wide as the model. */
  readonly headsFill?: true
  /** Biases by llama.cpp's names of their layers. */
  readonly biases?: readonly string[]
  /** Tensors about the rotary embedding that it reads. */
  readonly ropeTensors?: readonly (keyof RopeTensors)[]
  /** What it calls norms, where not `ffn_norm` and `output_norm`. */
  readonly norms?: { readonly beforeMlp?: string; readonly beforeExperts?: string; readonly last?: string }
  /** Fused gates and ups are stored apart. */
  readonly apart?: true
  /** Key-value heads are said layer by layer, with 0 where a layer does not attend. */
  readonly kvHeadsByLayer?: true
  /** Windows by layer; layers that have one turn by `own` frequencies or by those of `all`. */
  readonly windows?: 'own' | 'all'
  /** The only count of layers that it has windows for. */
  readonly windowsIn?: number
  /** Numbers of `config.json` and the keys of the metadata that hold them. */
  readonly keys?: Readonly<Record<string, string>>
  /** What a window in the metadata means beside itself, in families that have windows. */
  readonly windowed?: HuggingFaceConfig
  /** What is written beside what all architectures have, or, undefined, left out; numbers as float32. */
  written?(
    rope: RopeParameters,
    config: ConfigReader,
  ): Readonly<Record<string, number | GgufValue | undefined>>
  /** What the metadata means without saying so, in config.json's words. */
  implied?(metadata: GgufLookup): HuggingFaceConfig
}

/** Metadata of a GGUF file, by keys below its architecture. */
export interface GgufLookup {
  /** @throws `bad-file` where there is no such number */
  number(key: string): number
  optional(key: string): number | undefined
  /** The decimal number that was stored in 32 bits. */
  decimal(key: string): number | undefined
  /** Numbers layer by layer; undefined where there is no such list. */
  list(key: string): readonly number[] | undefined
  flag(key: string): boolean | undefined
  /** Whether layers have a tensor of this name below theirs (`ssm_conv1d.bias`). */
  has(tensor: string): boolean
  readonly headDim: number
  /** `rope_scaling` as other families have it. */
  readonly ropeScaling: object | null
}
