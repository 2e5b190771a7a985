import { createStream, type Stream } from '@reallm/finetune'
import { toFloat32 } from '@reallm/tensor-io'
import { type TfTensor, tf } from '@reallm/transformer'
import { runBlock } from '../calibrate/forward.ts'
import type { Prefix } from '../calibrate/hidden-states.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import type { Run } from '../run.ts'
import type { Prefixes } from './quantise-layer.ts'

/** What a block is tuned on: both prefixes as they were when its encoding began. */
export interface TuningData {
  /** In front of the block, behind what is quantised. */
  readonly inputs: Stream
  /** Behind the original block. */
  readonly targets: Stream
}

/** Keeps what tuning block `i` needs, where the recipe tunes: the prefixes move on while it is encoded. */
export async function keepForTuning(run: Run, prefixes: Prefixes): Promise<TuningData | undefined> {
  if (!run.recipe.tune) return undefined
  return {
    inputs: await streamOf(run, 'inputs', prefixes.quantised),
    targets: await streamOf(run, 'targets', prefixes.original),
  }
}

/**
 * Tunes block `i` once all of it is encoded, or takes the result from the journal; puts it into `weights`, and takes the
 * quantised prefix over the block again.
 */
export async function tuneBlock(
  run: Run,
  i: number,
  weights: Record<string, TfTensor>,
  data: TuningData,
  quantised: Prefix,
): Promise<void> {
  const { config, recipe, effort, seed, signal, onProgress } = run
  const modules = run.plan.matrices.filter(m => m.module.block === i).map(m => m.module.name)
  const encoded = new Map(
    await Promise.all(modules.map(async name => [name, await run.ledger.encoded(name)] as const)),
  )
  let tuned = await run.tuned.read(i)
  if (!tuned) {
    tuned = await recipe.tune!({
      ...{ config, block: i, weights, encoded, effort, seed, ...data },
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    })
    await run.tuned.write(i, tuned)
  }
  const replace = (name: string, tensor: TfTensor) => {
    weights[name].dispose()
    weights[name] = tensor
  }
  for (const [name, parts] of tuned.parts) {
    const e = encoded.get(name)!
    const { rows, cols, data } = builtInRegistry().decode({ ...e, parts: { ...e.parts, ...parts } })
    replace(`${name}.weight`, tf.tensor2d(data, [rows, cols]))
  }
  for (const [name, norm] of tuned.norms) replace(name, tf.tensor1d(toFloat32(norm)))
  let window = 0
  await quantised.advance(async x => {
    const values = new Float32Array(x.values.length)
    for (let at = 0; at < values.length; window++) {
      const states = await data.inputs.get(window)
      values.set(states, at)
      at += states.length
    }
    return runBlock(config, weights, i, { ...x, values })
  })
}

/** The windows of a prefix one by one. */
async function streamOf(run: Run, name: string, prefix: Prefix): Promise<Stream> {
  const stream = createStream(run.windows.fit.length, run.spill(`tuning-${name}`))
  let window = 0
  for (let b = 0; b < prefix.batches; b++) {
    const { values, length } = await prefix.get(b)
    const size = length * run.config.hiddenSize
    for (let at = 0; at < values.length; at += size) await stream.set(window++, values.slice(at, at + size))
  }
  return stream
}
