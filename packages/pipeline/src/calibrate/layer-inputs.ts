import { type LongWork, throwIfAborted } from '@reallm/tensor-io'
import { loadBlock, type ModelWeights, tf } from '@reallm/transformer'
import { type Activations, activations, memoryScratch, type Scratch } from './activations.ts'
import { runLayer } from './forward.ts'
import { embeddingRows, embedSequences, type HiddenStates } from './hidden-states.ts'

/** A forward pass whose stations a backward pass comes back to. */
export interface LayerInputs {
  /** Before each layer, `[positions · hidden]` for each sequence. */
  readonly inputs: readonly Activations[]
  /** Behind the last one. */
  readonly behind: HiddenStates
}

/**
 * Runs the original over some sequences, each a batch of its own; one layer in memory.
 *
 * @param onLayer called behind each layer
 */
export async function layerInputs(
  model: ModelWeights,
  sequences: readonly Int32Array[],
  scratch: Scratch,
  { signal, onLayer }: Pick<LongWork, 'signal'> & { readonly onLayer?: (layer: number) => void },
): Promise<LayerInputs> {
  const { config } = model
  const rows = await embeddingRows(model, sequences)
  const batches = sequences.map(sequence => [sequence])
  const behind = await embedSequences(model, rows, batches, memoryScratch)
  const inputs: Activations[] = []
  for (let i = 0; i < config.layers; i++) {
    const weights = await loadBlock(model, i)
    inputs.push(await activations(scratch))
    for (let s = 0; s < sequences.length; s++) await inputs[i].set(s, (await behind.get(s)).values)
    await behind.advance(x => {
      throwIfAborted(signal)
      return runLayer(config, weights, i, x)
    })
    tf.dispose(weights)
    onLayer?.(i)
  }
  return { inputs, behind }
}
