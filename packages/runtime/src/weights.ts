import type { Vector, Weight } from './backend/weight.ts'

/** A linear layer and its bias. */
export interface LoadedModule {
  readonly weight: Weight
  readonly bias: Vector | undefined
}

/** A model's weights on a backend, those of the layers by name. */
export interface DecoderWeights {
  readonly embedding: Weight
  /** The embedding itself when they are tied. */
  readonly head: Weight
  readonly modules: ReadonlyMap<string, LoadedModule>
  /** The tokens' second embedding, `[vocabulary, layers · width]`, of models with per-layer inputs. */
  readonly perLayerTable?: Weight | undefined
  /** Routers of mixtures of experts, whatever the form of the others in full precision. */
  readonly routers: ReadonlyMap<string, LoadedModule>
  /** Factors of each norm, its offset added. */
  readonly norms: ReadonlyMap<string, Vector>
  /** What layers have beside linear layers and norms, by whole name. */
  readonly parameters: ReadonlyMap<string, Vector>
}
