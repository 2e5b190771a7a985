import type { Identity } from '../checkpoint/checkpoint.ts'
import type { Usage } from './clock.ts'

/** How one matrix was stored. */
export interface MatrixReport {
  readonly name: string
  /** `[out, in]` */
  readonly shape: readonly [number, number]
  /** The configuration in short: `trellis 3 bits, L=10`. */
  readonly codec: string
  /** Bits per weight, every stored tensor counted, those shared with other matrices by their share. */
  readonly bits: number
  readonly bytes: number
  /** tr(ΔW H ΔWᵀ) / tr(W H Wᵀ): the share of the output's energy that is lost; of over 2048 columns, on a sample of rows. */
  readonly error: number
  /** The same without error feedback, measured on a sample of rows; absent where there is none. */
  readonly errorWithoutFeedback?: number | undefined
  /** ‖ΔW‖² / ‖W‖² */
  readonly plainError: number
  readonly seconds: number
}

/** One model on the validation sequences. */
export interface QualityReport {
  readonly perplexity: number
  /** Mean cross-entropy, nats per token. */
  readonly loss: number
  /** Mean KL divergence from the original's predictions, nats per token; 0 for the original. */
  readonly kl: number
  /** Share of positions where the most likely token is the original's. */
  readonly top1: number
}

/** What original and compressed model write by themselves. */
export interface GenerationReport {
  readonly protocol: string
  /** Mean share of 4-grams that came before in the same continuation: near 1 for a model that is stuck. */
  readonly repetition: { readonly original: number; readonly compressed: number }
  /** Mean share of the original's continuation that the compressed model repeats from its start, token for token. */
  readonly agreement: number
  readonly samples: readonly {
    readonly prompt: string
    readonly original: string
    readonly compressed: string
  }[]
}

/** A model size that can be had, and what it is predicted to lose. */
export interface FrontierPoint {
  /** Sum of the weight files, in bytes. */
  readonly bytes: number
  readonly bitsPerWeight: number
  /** In `CompressReport.predictedUnit`. */
  readonly predicted: number
}

/** What training after rounding came to. */
export interface TuningReport {
  readonly steps: number
  /** Tokens that were trained on, each as often as it was seen. */
  readonly tokens: number
  /** KL divergence to the original on held-out sequences of the calibration text, nats per token, before and after. */
  readonly before: number
  readonly after: number
}

/** What `compress` returns and writes as `reallm-report.json`. */
export interface CompressReport extends Usage {
  readonly version: 2
  readonly model: string
  readonly recipe: string
  readonly seed: number
  readonly options: Identity
  readonly size: {
    /** Sum of the weight files. */
    readonly bytes: number
    readonly originalBytes: number
    readonly parameters: number
    /** 8 · bytes / parameters: file header, norms, embeddings and head included. */
    readonly bitsPerWeight: number
  }
  readonly calibration: string
  /** Present with `--tune`. */
  readonly tuning?: TuningReport | undefined
  /** Measured on the validation sequences; absent with `--no-eval`. */
  readonly quality?: {
    readonly protocol: string
    /** Whether those are random tokens, of which perplexity says nothing: it is not shown. */
    readonly random?: boolean | undefined
    readonly original: QualityReport
    readonly compressed: QualityReport
  }
  /** Absent with `--no-eval`, and for models whose weights do not fit in half of the memory aimed for. */
  readonly generation?: GenerationReport
  readonly matrices: readonly MatrixReport[]
  /** What `predicted` and the frontier's predictions are counted in. */
  readonly predictedUnit: string
  readonly predicted: number
  readonly frontier: readonly FrontierPoint[]
  readonly machine: { readonly node: string; readonly backend: string; readonly threads: number }
}
