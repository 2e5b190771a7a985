import type { EncodedMatrix } from '../../codec/encoded-matrix.ts'
import type { ArtifactModule } from './manifest.ts'

/** The compressed matrices of an artifact, as they are stored. */
export interface Artifact {
  /** By the name of their layer (`model.layers.0.mlp.down_proj`), without `.weight`. */
  readonly modules: ReadonlyMap<string, ArtifactModule>
  /** The stored form of one matrix; throws `not-found` naming the nearest module. */
  readEncoded(module: string): Promise<EncodedMatrix>
}
