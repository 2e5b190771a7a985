import { outputError } from '@reallm/kernels'
import type { Matrix } from '@reallm/tensor-io'
import { loadBlock, tf } from '@reallm/transformer'
import { join, mkdir } from '#platform'
import { runBlock } from '../calibrate/forward.ts'
import { batchesOf, readMatrix, startPrefix } from '../calibrate/hidden-states.ts'
import type { Moments } from '../encoder/encode-matrix.ts'
import { choicesFor, type Recipe } from '../recipes/recipe.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import type { Run } from '../run.ts'
import { plusDiagonal } from '../sensitivity/measure-sensitivity.ts'
import {
  encodeBlock,
  encodePlanned,
  gatherHead,
  type OpenedBlock,
  openBlock,
  type Prefixes,
} from './quantise-layer.ts'

/** Encodes every matrix of the plan that is not in the ledger: embedding, blocks in order, head. */
export async function encodeModel(run: Run): Promise<void> {
  const { plan, recipe, ledger } = run
  const open = plan.matrices.filter(m => !ledger.matrices.has(m.module.name))
  if (open.length === 0) return
  if (recipe.together) return encodeTogether(run, recipe.together)
  if (!recipe.calibrated) return encodeUncalibrated(run)
  const head = open.find(m => m.module.kind === 'lm_head')
  const prefixes = await startPrefixes(run)
  let opened: OpenedBlock | undefined = await openBlock(run, 0, prefixes.original)
  for (let i = 0; opened; i++) opened = await encodeBlock(run, i, prefixes, opened)
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
    embedding!.module.tied ? await tiedMoment(run, original) : {},
    original,
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

/** Embedding and head one by one, then the matrices of all blocks at once. */
async function encodeTogether(run: Run, together: NonNullable<Recipe['together']>): Promise<void> {
  const { plan, ledger, recipe, effort, journal } = run
  const outer = new Map<string, Matrix>()
  for (const planned of plan.matrices.filter(m => m.module.block === undefined)) {
    const { name, kind, tied } = planned.module
    const moments = async () => {
      if (!recipe.calibrated || !(tied || kind === 'lm_head')) return {}
      const table = await readMatrix(run.model, 'model.embed_tokens.weight')
      return tied ? tiedMoment(run, table) : headMomentOfOriginal(run, table)
    }
    outer.set(name, (await ledger.decoded(name)) ?? (await encodePlanned(run, planned, await moments())))
  }
  const blocks = plan.matrices.filter(m => m.module.block !== undefined)
  const work = join(journal.folder, 'together')
  await mkdir(work, { recursive: true })
  const started = performance.now()
  const choices = new Map(
    blocks.map(({ module, choice }) => [module.name, choicesFor(recipe, module, effort)[choice]]),
  )
  const found = await together({ ...run, choices, outer, work })
  const seconds = (performance.now() - started) / 1000 / blocks.length
  for (const planned of blocks) {
    const encoded = found.get(planned.module.name)!
    const decoded = builtInRegistry().decode(encoded)
    const error = outputError(await readMatrix(run.model, `${planned.module.name}.weight`), decoded)
    await ledger.finish(planned, { encoded, decoded, error, plainError: error, seconds })
  }
}

const prefixOf = (run: Run, table: Matrix, name: string) =>
  startPrefix(run.config, table, batchesOf(run.windows.fit), run.spill(name))

/** What the errors of a tied embedding meet, at the head and where tokens are read. */
async function tiedMoment(run: Run, table: Matrix): Promise<Moments> {
  const hessian = (await run.headMoment()) ?? (await headMomentOfOriginal(run, table)).hessian!
  return { hessian: plusDiagonal(hessian, run.inputSensitivity) }
}

/**
 * The head's input in the original model: a tied embedding is encoded before anything else is. Every third window
 * tells enough about its few columns.
 */
async function headMomentOfOriginal(run: Run, table: Matrix): Promise<Moments> {
  const windows = run.windows.fit.filter((_, w) => w % 3 === 1 || run.windows.fit.length < 8)
  const prefix = await startPrefix(run.config, table, batchesOf(windows), run.spill('head'))
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
