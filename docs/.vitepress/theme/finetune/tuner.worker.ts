import { finetuneArtifact } from '@reallm/finetune'
import { builtInRegistry } from '@reallm/pipeline'
import { load, type Model } from '@reallm/runtime'
import { openModel, type ProgressEvent } from '@reallm/tensor-io'
import { encodeAdapter, type ModelWeights, openWeights, useBackend } from '@reallm/transformer'
import { type CallContext, serveWorker, transfer } from '../worker/serve.ts'

export interface TuneRequest {
  readonly text: string
  readonly steps: number
  readonly learningRate: number
  readonly rank: number
}

/** What training came to. */
export interface TunedModel {
  /** Loss on a part of the text that was kept from training, nats per token. */
  readonly before: number
  readonly after: number
  readonly seconds: number
  /** The adapter's files by name, in PEFT's layout. */
  readonly files: Record<string, Uint8Array<ArrayBuffer>>
}

let weights: ModelWeights
let writer: Model

const methods = {
  /** Loads the model at a URL to train and to write; tfjs' WebAssembly is in the folder `wasmPath`. */
  async load(
    { url, wasmPath }: { url: string; wasmPath: string },
    { emit, signal }: CallContext,
  ): Promise<void> {
    await useBackend('wasm', { wasmPath })
    const onProgress = (event: ProgressEvent) => emit(event)
    writer = await load(url, { signal, onProgress })
    weights = await openWeights(await openModel(url, { registry: builtInRegistry() }))
  },

  /** Goes on with a prompt, with the adapter if one was trained. Events: pieces of text. */
  async write({ prompt, maxTokens }: { prompt: string; maxTokens: number }, { emit, signal }: CallContext) {
    const options = { maxTokens, temperature: 0.4, topP: 0.95, seed: 1, signal }
    for await (const piece of writer.generate(prompt, options)) emit(piece)
  },

  /** Trains on a text. Events: `step-end` and `validation-end`. */
  async tune(request: TuneRequest, { emit, signal }: CallContext): Promise<TunedModel> {
    const { text, ...settings } = request
    const started = performance.now()
    const { adapter, before, after } = await finetuneArtifact({
      ...settings,
      ...{
        model: weights,
        data: { name: 'text', contents: text },
        length: 64,
        rows: 4,
        validation: 0.1,
        signal,
      },
      onProgress: event => emit(event),
    })
    const seconds = (performance.now() - started) / 1000
    const files = encodeAdapter(adapter!)
    await writer.useAdapter(Object.entries(files).map(([name, bytes]) => new File([bytes], name)))
    const result = { before: before!, after: after!, seconds, files }
    return transfer(
      result,
      Object.values(files).map(bytes => bytes.buffer),
    )
  },

  /** Back to the model as it was. */
  forget: () => writer.useAdapter(undefined),
}

export type TunerMethods = typeof methods
serveWorker(methods)
