import { type LongWork, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import { block, type TfTensor, tf, type WeightSource } from '@reallm/transformer'
import { checkTokens } from './check-tokens.ts'
import { type Protocol, windowsOf } from './windows.ts'

/** How far the outputs of a layer are from the original's: squared error over the squared norm of what the layer adds. */
export interface LayerError {
  readonly layer: number
  /** Given the original's input: what this layer alone does wrong. */
  readonly own: number
  /** Given the input that the layers before it make: what has come together up to here. */
  readonly total: number
}

/**
 * Where a model departs from its original: relative squared errors of the outputs of each layer, all positions counted.
 *
 * @param tokens ids of a long text, or rows of ids; a few windows tell enough
 * @throws `bad-option` for models of different shapes, and as `windowsOf`; `aborted`
 * @example
 * const errors = await layerErrors(streamed(compressed), streamed(original), ids, { windows: 4 })
 */
export async function layerErrors(
  model: WeightSource,
  original: WeightSource,
  tokens: readonly number[] | readonly (readonly number[])[],
  { signal, onProgress, ...protocol }: Protocol & LongWork = {},
): Promise<LayerError[]> {
  const { config } = original
  if (config.layers !== model.config.layers || config.hiddenSize !== model.config.hiddenSize) {
    const shape = (c: typeof config) => `${c.layers} layers of width ${c.hiddenSize}`
    throw new ReallmError(
      'bad-option',
      `the models have ${shape(model.config)} and ${shape(config)}: nothing to compare layer by layer`,
    )
  }
  const windows = windowsOf(tokens, protocol)
  checkTokens(windows, Math.min(config.vocabSize, model.config.vocabSize))
  const begin = (source: WeightSource) => source.embed(windows.map(({ ids }) => [ids]))
  const wanted = await begin(original)
  const reached = await begin(model)
  const errors: LayerError[] = []
  try {
    for (let layer = 0; layer < config.layers; layer++) {
      throwIfAborted(signal)
      const sums = { own: 0, total: 0, added: 0 }
      await original.with(layer, originals =>
        model.with(layer, weights => {
          for (const [w, input] of wanted.entries()) {
            const run = (source: WeightSource, held: typeof weights, x: TfTensor) =>
              block(source.config, held, layer, x, source.hooks)
            const output = run(original, originals, input)
            const alone = run(model, weights, input)
            const behind = run(model, weights, reached[w])
            sums.own += squaredDistance(alone, output)
            sums.total += squaredDistance(behind, output)
            sums.added += squaredDistance(output, input)
            tf.dispose([input, reached[w], alone])
            wanted[w] = output
            reached[w] = behind
          }
        }),
      )
      errors.push({ layer, own: sums.own / sums.added, total: sums.total / sums.added })
      onProgress?.({ event: 'layer-end', name: `layer ${layer}`, done: layer + 1, total: config.layers })
      await tf.nextFrame()
    }
    return errors
  } finally {
    tf.dispose([wanted, reached])
  }
}

const squaredDistance = (a: TfTensor, b: TfTensor): number =>
  tf.tidy(() => a.sub(b).square().sum().dataSync()[0])
