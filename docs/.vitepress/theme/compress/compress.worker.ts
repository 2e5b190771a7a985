import type { CompressReport } from '@reallm/pipeline'
import { load, type Model } from '@reallm/runtime'
import { type Matrix, type ModelFiles, type ProgressEvent, usePageFiles } from '@reallm/tensor-io'
import { zip } from '../shared/zip.ts'
import { type CallContext, serveWorker } from '../worker/serve.ts'
import { type CodecChoice, codecChoices } from './codecs.ts'
import { forget, keep, keptFiles, listKept } from './kept.ts'
import { describeSource, type MatrixInfo, type OpenedModel, openSource, readMatrix } from './source.ts'

/** Where the artifact lies in this Worker's memory. */
const folder = 'out'
const inMemory = usePageFiles()

let source: ModelFiles | undefined
/** Models are opened one after the other. */
let opening: Promise<void> = Promise.resolve()
let model: Model | undefined
let read: { readonly name: string; readonly w: Matrix } | undefined

async function matrixOf(info: MatrixInfo, signal: AbortSignal): Promise<Matrix> {
  if (read?.name !== info.name) read = { name: info.name, w: await readMatrix(source!, info, signal) }
  return read.w
}

const methods = {
  /** Opens dropped files or the embedded model behind a URL. */
  open({ from, name }: { from: readonly File[] | string; name: string }): Promise<OpenedModel> {
    const next = opening.then(async () => {
      await source?.close()
      read = undefined
      source = await openSource(from)
      return describeSource(source, name)
    })
    opening = next.then(
      () => {},
      () => {},
    )
    return next
  },

  /** Encodes one matrix at one rate. */
  async encode(
    { matrix, codec, rate }: { matrix: MatrixInfo; codec: CodecChoice['id']; rate: number },
    { signal }: CallContext,
  ) {
    const { viewOf } = await import('./encode-matrix.ts')
    const w = await matrixOf(matrix, signal)
    return { usedRows: w.rows, ...(await viewOf(w, codec, rate, signal)) }
  },

  /** The same at all rates of a codec. Events: points. */
  async curve(
    { matrix, codec }: { matrix: MatrixInfo; codec: CodecChoice['id'] },
    { emit, signal }: CallContext,
  ): Promise<void> {
    const { pointOf } = await import('./encode-matrix.ts')
    const w = await matrixOf(matrix, signal)
    for (const rate of codecChoices.find(({ id }) => id === codec)!.rates) {
      emit(await pointOf(w, codec, rate, signal))
      // lets an abort be heard
      await new Promise(resolve => setTimeout(resolve))
    }
  },

  /** Compresses the whole model, calibrated on the text that comes with the pipeline. Events: progress. */
  async compress(
    { bits, wasmPath, threads }: { bits: number; wasmPath: string; threads: number },
    { emit, signal }: CallContext,
  ): Promise<CompressReport> {
    const [{ compress }, { useBackend }, { createPool }] = await Promise.all([
      import('@reallm/pipeline'),
      import('@reallm/transformer'),
      import('@reallm/kernels'),
    ])
    await useBackend('wasm', { wasmPath })
    inMemory.remove(folder)
    inMemory.remove(`${folder}.work`)
    const pool = await createPool({ threads })
    try {
      const onProgress = (event: ProgressEvent) => emit(event)
      const options = { to: folder, bits, effort: 'fast', backend: 'wasm', signal, onProgress } as const
      return await compress(source!, options)
    } finally {
      pool.close()
    }
  },

  /** The artifact as one file. */
  download: async () => zip(inMemory.list(folder)),

  keep: async ({ name }: { name: string }) => keep(name, inMemory.list(folder)),
  kept: listKept,
  forget: ({ name }: { name: string }) => forget(name),

  /** Goes on with a prompt, by the artifact just made or by one that was kept. Events: pieces of text. */
  async write(
    { prompt, kept, maxTokens }: { prompt: string; kept?: string | undefined; maxTokens: number },
    { emit, signal }: CallContext,
  ): Promise<void> {
    model?.dispose()
    model = await load(kept === undefined ? `memory:/${folder}` : await keptFiles(kept), { signal })
    const options = { maxTokens, temperature: 0.6, topP: 0.95, seed: 1, signal }
    for await (const piece of model.generate(prompt, options)) emit(piece)
  },
}

export type CompressMethods = typeof methods
serveWorker(methods)
