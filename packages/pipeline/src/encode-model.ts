import type { Matrix } from '@reallm/tensor-io'
import { loadBlock, tf } from '@reallm/transformer'
import type { Moments } from './encode.ts'
import { encodeBlock, encodePlanned, gatherHead, type Prefixes } from './encode-blocks.ts'
import { runBlock } from './forward.ts'
import { batchesOf, readMatrix, startPrefix } from './prefix.ts'
import type { Run } from './run.ts'

/** Encodes every matrix of the plan that is not in the ledger: embedding, blocks in order, head. */
export async function encodeModel(run: Run): Promise<void> {
  const { config, plan, recipe, ledger } = run
  const open = plan.matrices.filter(m => !ledger.matrices.has(m.module.name))
  if (open.length === 0) return
  if (!recipe.calibrated) return encodeUncalibrated(run)
  const head = open.find(m => m.module.kind === 'lm_head')
  const prefixes = await startPrefixes(run)
  for (let i = 0; i < config.layers; i++) await encodeBlock(run, i, prefixes)
  if (head) {
    const against = recipe.asymmetric ? prefixes.original : undefined
    await encodePlanned(run, head, await gatherHead(run, prefixes.quantised, against))
  }
  await prefixes.original.close()
  await prefixes.quantised.close()
}

/** Encodes the embedding and starts behind it, and behind the original one. */
async function startPrefixes(run: Run): Promise<Prefixes> {
  const { plan, ledger, model } = run
  const embedding = plan.matrices.find(m => m.module.kind === 'embed_tokens')
  const original = await readMatrix(model, 'model.embed_tokens.weight')
  let quantised = embedding ? await ledger.decoded(embedding.module.name) : original
  quantised ??= await encodePlanned(
    run,
    embedding!,
    embedding!.module.tied ? await headMomentOfOriginal(run, original) : {},
  )
  return {
    original: await prefixOf(run, original, 'original'),
    quantised: await prefixOf(run, quantised, 'quantised'),
  }
}

/** No forward pass: block by block, all matrices of a block at once. */
async function encodeUncalibrated(run: Run): Promise<void> {
  const open = run.plan.matrices.filter(m => !run.ledger.matrices.has(m.module.name))
  for (const block of new Set(open.map(m => m.module.block))) {
    await Promise.all(open.filter(m => m.module.block === block).map(m => encodePlanned(run, m, {})))
  }
}

const prefixOf = (run: Run, table: Matrix, name: string) =>
  startPrefix(run.config, table, batchesOf(run.windows.fit), run.spill(name))

/** The head's input in the original model: a tied embedding is encoded before anything else is. */
async function headMomentOfOriginal(run: Run, table: Matrix): Promise<Moments> {
  const prefix = await prefixOf(run, table, 'head')
  for (let i = 0; i < run.config.layers; i++) {
    const weights = await loadBlock(run.model, i)
    await prefix.advance(x => runBlock(run.config, weights, i, x))
    tf.dispose(weights)
    run.onProgress?.({ event: 'survey-end', name: `block ${i}`, done: i + 1, total: run.config.layers })
  }
  const moments = await gatherHead(run, prefix)
  await prefix.close()
  return moments
}
