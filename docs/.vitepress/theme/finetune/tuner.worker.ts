import { load, type Model } from '@reallm/runtime'
import { blobSource, openFiles, openModel, type ProgressEvent, ReallmError } from '@reallm/tensor-io'
import { projectionGroups } from '@reallm/tensor-io/models'
import type { ModelWeights } from '@reallm/transformer'
import { modelFilesAmong } from '../shared/dropped.ts'
import { zip } from '../shared/zip.ts'
import { type CallContext, serveWorker } from '../worker/serve.ts'
import { adapterNote, type TunedBase } from './adapter-note.ts'

/** Weights that a page trains beside: it holds them as floats. */
const MOST_WEIGHTS = 2e8

export interface TuneRequest {
  readonly text: string
  readonly steps: number
  readonly learningRate: number
  readonly rank: number
  readonly base: TunedBase
  /** Folder of TensorFlow.js's WebAssembly. */
  readonly wasmPath: string
}

/** What training came to. */
export interface TunedModel {
  /** Loss on a part of the text that was kept from training, nats per token. */
  readonly before: number
  readonly after: number
  readonly seconds: number
  /** The adapter in PEFT's layout and how to use it, in one archive. */
  readonly archive: Blob
}

let from: string | readonly File[]
let writer: Model | undefined
let weights: ModelWeights | undefined

const methods = {
  /**
   * Opens the model at a URL or among files, to write, and tells the number of its weights; what trains it is fetched when
   * it is trained. Events: progress in bytes.
   */
  async open({ model }: { model: string | readonly File[] }, { emit, signal }: CallContext): Promise<number> {
    const next = typeof model === 'string' ? model : await modelFilesAmong(model)
    const onProgress = (event: ProgressEvent) => emit(event)
    const loaded = await load(typeof next === 'string' ? next : [...next], { signal, onProgress })
    writer?.dispose()
    await weights?.close()
    weights = undefined
    writer = loaded
    from = next
    return weightsOf(loaded)
  },

  /** Goes on with a prompt, with the adapter if one was trained. Events: pieces of text. */
  async write({ prompt, maxTokens }: { prompt: string; maxTokens: number }, { emit, signal }: CallContext) {
    const options = { maxTokens, temperature: 0.4, topP: 0.95, seed: 1, signal }
    for await (const piece of writer!.generate(prompt, options)) emit(piece)
  },

  /** Trains on a text. Events: `step-end` and `validation-end`. */
  async tune(request: TuneRequest, { emit, signal }: CallContext): Promise<TunedModel> {
    const { text, base, wasmPath, ...settings } = request
    const [{ finetuneArtifact }, { encodeAdapter, useBackend }] = await Promise.all([
      import('@reallm/finetune'),
      import('@reallm/transformer'),
    ])
    await useBackend('wasm', { wasmPath })
    weights ??= await openToTrain()
    const started = performance.now()
    const { adapter, before, after } = await finetuneArtifact({
      ...settings,
      ...{ model: weights, data: { name: 'text', contents: text }, signal },
      ...{ length: 64, rows: 4, validation: 0.1 },
      onProgress: event => emit(event),
    })
    const seconds = (performance.now() - started) / 1000
    const files = encodeAdapter({ ...adapter!, base: base.name })
    await writer!.useAdapter(Object.entries(files).map(([name, bytes]) => new File([bytes], name)))
    const note = adapterNote(base, { ...settings, before: before!, after: after! })
    const archive = zip(new Map([...Object.entries(files), ['README.md', new TextEncoder().encode(note)]]))
    return { before: before!, after: after!, seconds, archive }
  },

  /** Back to the model as it was. */
  forget: () => writer!.useAdapter(undefined),
}

/** Of embedding and layers; what else there is counts little. */
function weightsOf({ config: { vocabSize, hiddenSize, layerSpecs } }: Model): number {
  const modules = layerSpecs.flatMap(layer => Object.values(projectionGroups(layer)).flat(2))
  return modules.reduce((sum, { shape: [rows, cols] }) => sum + rows * cols, vocabSize * hiddenSize)
}

async function openToTrain(): Promise<ModelWeights> {
  const [{ builtInRegistry }, { openWeights }] = await Promise.all([
    import('@reallm/pipeline'),
    import('@reallm/transformer'),
  ])
  const registry = builtInRegistry()
  const opened =
    typeof from === 'string'
      ? await openModel(from, { registry })
      : await openFiles(
          from.map(file => ({ name: file.name, source: blobSource(file.name, file) })),
          { registry },
        )
  const model = await openWeights(opened)
  const count = [...model.shapes.values()].reduce((sum, shape) => sum + shape.reduce((n, d) => n * d, 1), 0)
  if (count <= MOST_WEIGHTS) return model
  await model.close()
  throw new ReallmError(
    'unsupported',
    `it has ${(count / 1e6).toFixed(0)} million weights: too many to train in a page`,
    {
      hint: 'reallm finetune in Node trains larger models',
    },
  )
}

export type TunerMethods = typeof methods
serveWorker(methods)
