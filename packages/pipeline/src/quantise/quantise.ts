import { streamWidth, type TokenRows, tokenRows, widestInput } from '@reallm/transformer'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { fileScratch, memoryScratch, type Scratch } from '../calibrate/activations.ts'
import { batchesOf, embeddingRows, embedSequences } from '../calibrate/hidden-states.ts'
import { isAsymmetric, needsHessians } from '../recipes/recipe.ts'
import { builtInRegistry } from '../recipes/registry.ts'
import { gatherHead } from './gather-hessians.ts'
import { tiedStatistics } from './head-statistics.ts'
import type { Passes, QuantiseContext, QuantiseInput } from './quantise-context.ts'
import { quantiseIndependently } from './quantise-independently.ts'
import { quantiseJointly } from './quantise-jointly.ts'
import { type OpenedLayer, openLayer, quantiseLayer } from './quantise-layer.ts'
import { quantiseMatrix } from './quantise-matrix.ts'
import { quantiseVocabulary } from './quantise-vocabulary.ts'
import { quantisedMatrices } from './quantised-matrices.ts'
import { type QuantisedModel, quantisedModel } from './quantised-model.ts'

/**
 * Stores every matrix of the allocation: embedding, layers in order, head. What the checkpoint has is not done again.
 *
 * @throws `numeric` naming a matrix that cannot be stored; `aborted`
 */
export async function quantise(input: QuantiseInput): Promise<QuantisedModel> {
  const { model, allocation, checkpoint, settings } = input
  const matrices = await quantisedMatrices(checkpoint, allocation, builtInRegistry(), settings)
  const context = { ...input, matrices, scratch: scratchFor(input) }
  const open = allocation.matrices.filter(m => !matrices.reports.has(m.module.name))
  if (open.length > 0) await quantiseOpen(context, open)
  return quantisedModel(model.parts.matrices, matrices, checkpoint)
}

async function quantiseOpen(context: QuantiseContext, open: readonly AllocatedMatrix[]): Promise<void> {
  const { recipe } = context.settings
  if (recipe.quantise.kind === 'joint') return quantiseJointly(context, recipe.quantise)
  if (!needsHessians(recipe) || context.importance) return quantiseWithoutPasses(context, open)
  if (!context.settings.sequential) return quantiseIndependently(context, open)
  const passes = await startPasses(context)
  let opened: OpenedLayer | undefined = await openLayer(context, 0, passes.original)
  for (let i = 0; opened; i++) opened = await quantiseLayer(context, i, passes, opened)
  const head = open.find(m => m.module.kind === 'lm_head')
  if (head) {
    const original = isAsymmetric(recipe) ? passes.original : undefined
    await quantiseVocabulary(context, head, await gatherHead(context, passes.quantised, original))
  }
  await passes.original.close()
  await passes.quantised.close()
}

/** In files when both passes and a layer's inputs together take over an eighth of the memory. */
function scratchFor({ model: { config }, sequences, checkpoint, memory }: QuantiseInput): Scratch {
  const positions = sequences.calibration.length * sequences.length
  const bytes = 4 * positions * (5 * streamWidth(config) + widestInput(config))
  return bytes > memory.most / 8 ? fileScratch(checkpoint.scratch) : memoryScratch
}

/** No forward pass: layer by layer, all matrices of a layer at once, by an importance matrix where there is one. */
async function quantiseWithoutPasses(
  context: QuantiseContext,
  open: readonly AllocatedMatrix[],
): Promise<void> {
  for (const layer of new Set(open.map(m => m.module.layer))) {
    const inLayer = open.filter(m => m.module.layer === layer)
    const store = layer === undefined ? quantiseVocabulary : quantiseMatrix
    await Promise.all(inLayer.map(m => store(context, m, { hessian: context.importance?.hessian(m.module) })))
  }
}

/** Stores the embedding and starts behind it, and behind the original one. */
async function startPasses(context: QuantiseContext): Promise<Passes> {
  const { allocation, matrices, model, sequences, scratch } = context
  const { calibration } = sequences
  const embedding = allocation.matrices.find(m => m.module.kind === 'embed_tokens')
  if (embedding && !matrices.reports.has(embedding.module.name)) {
    await quantiseVocabulary(context, embedding, embedding.module.tied ? await tiedStatistics(context) : {})
  }
  const start = (rows: TokenRows) => embedSequences(model.weights, rows, batchesOf(calibration), scratch)
  const rows = await embeddingRows(model.weights, calibration)
  const original = await start(rows)
  const stored = embedding && (await matrices.rowsOf(embedding.module))
  return { original, quantised: await start(stored ? await tokenRows(stored, calibration) : rows) }
}
