import type { EvaluatedModel } from '@reallm/eval'
import type { Model } from '@reallm/runtime'
import { type LongWork, ReallmError, sizeOf } from '@reallm/tensor-io'
import {
  adapted,
  listBackends,
  type ModelWeights,
  openWeights,
  readAdapter,
  streamed,
  useBackend,
} from '@reallm/transformer'
import { builtInRegistry } from '../recipes/registry.ts'

/**
 * What computes an evaluation. `wasm` and `webgpu` are the backends of `@reallm/runtime`: on `wasm`, weights and activations are
 * integers of 13 and 16 bits, with a KL divergence of less than 1e-4 nats from float32. `tfjs` is TensorFlow.js in float32, a block at
 * a time, for any size. `auto` takes TensorFlow.js where its native package is installed, else `wasm` where the models fit, else
 * TensorFlow.js.
 */
export const evaluationDevices = ['auto', 'wasm', 'webgpu', 'tfjs'] as const
/** The name of what computes an evaluation, see `evaluationDevices`. */
export type EvaluationDevice = (typeof evaluationDevices)[number]

/** Options of `openEvaluated`. */
export interface EvaluatedOptions extends LongWork {
  /** Default `auto`. */
  readonly device?: EvaluationDevice | undefined
  /** Threads of `wasm`; default 1. */
  readonly threads?: number | undefined
  /** Tokens of the longest window: `auto` leaves those that exceed what a model was made for to TensorFlow.js. */
  readonly positions?: number | undefined
}

/** A model to evaluate, and an adapter to merge into it. */
export interface EvaluatedSpec {
  readonly spec: string
  readonly adapter?: string | undefined
}

/** A model, its weights to look at and what computes it. */
export interface OpenedEvaluation {
  readonly weights: ModelWeights
  readonly model: EvaluatedModel
  /** The same where `@reallm/runtime` runs it. */
  readonly running: Model | undefined
}

/** Models opened to be measured alike. */
export interface OpenedEvaluations {
  readonly models: readonly OpenedEvaluation[]
  /** What computes, in words: it decides about the last digits of the results. */
  readonly engine: string
  close(): Promise<void>
}

/** Bytes of weights that `auto` gives to `wasm`, for each model and for all of them. */
const wasmBytes = { each: 2 ** 31, all: 2 ** 32 }

/**
 * Opens models to measure them, all computed by the same.
 *
 * @throws what `openWeights` refuses; `unsupported` for a device that is not there, or cannot run one of the models
 * @example
 * const { models: [{ model, weights }], close } = await openEvaluated([{ spec: 'out' }])
 * const { perplexity: ppl } = await perplexity(model, (await weights.tokenizer()).encode(text))
 */
export async function openEvaluated(
  specs: readonly EvaluatedSpec[],
  options: EvaluatedOptions = {},
): Promise<OpenedEvaluations> {
  const { device = 'auto', signal, onProgress } = options
  const weights: ModelWeights[] = []
  const close = async () => {
    for (const model of weights) await model.close()
  }
  try {
    for (const { spec, adapter } of specs) {
      const opened = await openWeights(spec, { registry: builtInRegistry(), signal, onProgress })
      weights.push(opened)
      if (adapter !== undefined) weights[weights.length - 1] = adapted(opened, await readAdapter(adapter))
    }
    const running = await runningModels(specs, weights, device, options)
    if (running) {
      return {
        models: running.map((model, i) => ({ weights: weights[i], model, running: model })),
        engine: `${running[0].device} (${running[0].kernels}), weights ${running[0].weights}`,
        async close() {
          for (const model of running) model.dispose()
          await close()
        },
      }
    }
    const { name, version } = await useBackend()
    return {
      models: weights.map(each => ({ weights: each, model: streamed(each), running: undefined })),
      engine: `tfjs ${name} ${version}, float32`,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** All models on the runtime, or undefined where TensorFlow.js shall compute. */
async function runningModels(
  specs: readonly EvaluatedSpec[],
  weights: readonly ModelWeights[],
  device: EvaluationDevice,
  { threads, signal, positions = 0 }: EvaluatedOptions,
): Promise<Model[] | undefined> {
  if (device === 'tfjs') return undefined
  if (device === 'auto') {
    const isLonger = weights.some(({ config }) => positions > config.maxPositions)
    if (isLonger || !fit(weights) || (await hasNative())) return undefined
  }
  const { load } = await import('@reallm/runtime')
  const registry = builtInRegistry()
  const models: Model[] = []
  try {
    for (const { spec, adapter } of specs) {
      const common = { registry, threads, signal, tokenizer: false } as const
      const model = await load(
        spec,
        device === 'webgpu'
          ? { ...common, device }
          : { ...common, device: 'wasm', weights: 'expanded', kvCache: 'f32' },
      )
      models.push(model)
      if (adapter !== undefined) await model.useAdapter(adapter)
    }
    return models
  } catch (error) {
    for (const model of models) model.dispose()
    const isUnable = error instanceof ReallmError && error.code === 'unsupported'
    if (device === 'auto' && isUnable) return undefined
    throw error
  }
}

async function hasNative(): Promise<boolean> {
  const found = await listBackends()
  return found.some(({ name, found }) => found && name.startsWith('native'))
}

/** Whether weights of two bytes, with their scales, and keys and values of some text fit into WebAssembly's memory. */
function fit(weights: readonly ModelWeights[]): boolean {
  const bytes = weights.map(({ shapes }) =>
    [...shapes.values()].reduce((sum, shape) => sum + 2.0625 * sizeOf(shape), 0),
  )
  return (
    bytes.every(each => each <= wasmBytes.each) && bytes.reduce((sum, each) => sum + each, 0) <= wasmBytes.all
  )
}
