import { type LongWork, throwIfAborted } from '@reallm/tensor-io'
import { loadBlock, type ModelWeights, tf } from '@reallm/transformer'
import { join } from '#platform'
import { type Activations, activations } from './activations.ts'
import { runBlock } from './forward.ts'
import { type Prefix, readMatrix, startPrefix } from './hidden-states.ts'

/** A forward pass whose stations a backward pass comes back to. */
export interface BlockInputs {
  /** In front of each block, `[positions · hidden]` for each window. */
  readonly inputs: readonly Activations[]
  /** Behind the last one. */
  readonly behind: Prefix
}

/**
 * Runs the original over some windows, each a batch of its own; one block in memory, activations in files of `scratch`.
 *
 * @param onBlock called behind each block
 */
export async function blockInputs(
  model: ModelWeights,
  windows: readonly Int32Array[],
  scratch: string,
  { signal, onBlock }: Pick<LongWork, 'signal'> & { readonly onBlock?: (block: number) => void },
): Promise<BlockInputs> {
  const { config } = model
  const table = await readMatrix(model, 'model.embed_tokens.weight')
  const behind = await startPrefix(
    config,
    table,
    windows.map(window => [window]),
  )
  const inputs: Activations[] = []
  for (let i = 0; i < config.layers; i++) {
    const weights = await loadBlock(model, i)
    inputs.push(await activations(join(scratch, `block-${i}.f32`)))
    for (let w = 0; w < windows.length; w++) await inputs[i].set(w, (await behind.get(w)).values)
    await behind.advance(x => {
      throwIfAborted(signal)
      return runBlock(config, weights, i, x)
    })
    tf.dispose(weights)
    onBlock?.(i)
  }
  return { inputs, behind }
}
