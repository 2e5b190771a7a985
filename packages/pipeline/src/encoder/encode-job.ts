import type { Matrix, ProgressEvent } from '@reallm/tensor-io'
import type { MatrixModule } from '../open/model-parts.ts'
import type { BandRates, Configuration, SharedTensors } from '../recipes/configuration.ts'
import { type Effort, findConfiguration, type Recipe } from '../recipes/recipe.ts'
import type { EncodeResult, RoundingStatistics } from './encode-matrix.ts'

/** One matrix to encode, in one or several configurations: plain data, so that it can go to another thread or machine. */
export interface EncodeJob extends RoundingStatistics {
  /** Name of a built-in recipe; others run in this thread. */
  readonly recipe: string
  readonly module: MatrixModule
  readonly effort: Effort
  readonly configurations: readonly {
    readonly id: string
    /** The decoder that was fitted for the matrix's group, where the configuration shares one. */
    readonly shared?: SharedTensors | undefined
    /** The rates of bands of rows, where the configuration has such. */
    readonly rates?: BandRates | undefined
  }[]
  readonly w: Matrix
  readonly seed: number
  /** Also measure what error feedback gains. */
  readonly compareFeedback?: boolean | undefined
  /** Set for a band of rows; all bands of a module come with the same statistics. */
  readonly isBand?: boolean | undefined
  /** Directory for the state of codecs that train. */
  readonly checkpoints?: string | undefined
}

/** Encodes matrices, several at a time; results, one for each configuration, do not depend on how many. */
export interface Encoder {
  readonly threads: number
  /** Takes the job's `outputGradients` over: they are the caller's no more. */
  encode(job: EncodeJob): Promise<EncodeResult[]>
  /** Hears how far the run is that it works for, to tell whoever asks from elsewhere. */
  follow?(event: ProgressEvent): void
  close(): Promise<void>
}

/** A job's configuration, with the shared decoder or the rates that were found for it. */
export function configurationOf(
  recipe: Recipe,
  { module, effort }: Pick<EncodeJob, 'module' | 'effort'>,
  { id, shared, rates }: EncodeJob['configurations'][number],
): Configuration {
  const found = findConfiguration(recipe, module, effort, id)
  if (rates) return found.byUse!.with(rates)
  return shared ? found.shared!.with(shared) : found
}
