import { type Matrix, seedFor, throwIfAborted } from '@reallm/tensor-io'
import {
  blockTensors,
  loadTensors,
  type Sublayer,
  sublayers,
  type TfTensor,
  tf,
  type Weights,
} from '@reallm/transformer'
import { join, mkdir, rm } from '#platform'
import type { PlannedMatrix } from '../allocate/allocate-bits.ts'
import { type Activations, activations } from '../calibrate/activations.ts'
import {
  finishSublayer,
  headInput,
  inputOf,
  moment,
  runSublayer,
  symmetricMoment,
  type WindowBatch,
} from '../calibrate/forward.ts'
import { type Prefix, readMatrix } from '../calibrate/hidden-states.ts'
import type { Moments } from '../encoder/encode-matrix.ts'
import { choicesFor } from '../recipes/recipe.ts'
import type { Run } from '../run.ts'
import { keepForTuning, tuneBlock } from './tune-layer.ts'

/** The two forward passes that encoding walks along: the original's, and behind what is quantised. */
export interface Prefixes {
  readonly original: Prefix
  readonly quantised: Prefix
}

/** A block whose original has been run: what its encoding starts from. */
export interface OpenedBlock {
  /** The original's, to be replaced by what the matrices decode to. */
  readonly weights: Record<string, TfTensor>
  /** What the original says of each group of layers, by the first one, where the recipe wants it: see `passOriginal`. */
  readonly originals: ReadonlyMap<string, Activations>
  /** What was encoded before, by module. */
  readonly known: ReadonlyMap<string, Matrix | undefined>
}

/** Loads block `i` and takes the original's prefix over it. */
export async function openBlock(run: Run, i: number, original: Prefix): Promise<OpenedBlock> {
  const planned = run.plan.matrices.filter(m => m.module.block === i)
  const known = new Map<string, Matrix | undefined>()
  for (const { module } of planned) known.set(module.name, await run.ledger.decoded(module.name))
  const open = new Set(planned.filter(m => !known.get(m.module.name)).map(m => m.module.name))
  const weights = await loadTensors(run.model, blockTensors(run.config, i).keys())
  const originals = await passOriginal(run, i, weights, original, open)
  return { weights, originals, known }
}

/**
 * Encodes block `i`: group by group of matrices that see the same input, each behind everything quantised before it,
 * and takes the quantised prefix over the block; then tunes it, where the recipe does. The next block is opened while the
 * last group is being encoded: two blocks are in memory.
 */
export async function encodeBlock(run: Run, i: number, prefixes: Prefixes, opened: OpenedBlock) {
  const { config, recipe } = run
  const { weights, originals, known } = opened
  const planned = run.plan.matrices.filter(m => m.module.block === i)
  const tuning = await keepForTuning(run, prefixes)
  let next: OpenedBlock | undefined
  const steps = sublayers(config, i)
  for (const sublayer of steps) {
    let last: Activations | undefined
    for (const group of sublayer.groups) {
      const members = planned.filter(m => group.includes(m.module.name))
      const [leader] = group
      let moments: Moments = {}
      if (recipe.calibrated && members.some(m => !known.get(m.module.name))) {
        if (group === sublayer.groups.at(-1)) last = await activations(run.spill(`${leader}.quantised`))
        moments = await gather(
          run,
          weights,
          prefixes.quantised,
          sublayer,
          leader,
          originals.get(leader),
          last,
        )
      }
      const encoding = members.map(async m => {
        const { name } = m.module
        const decoded = known.get(name) ?? (await encodePlanned(run, m, moments))
        weights[`${name}.weight`].dispose()
        weights[`${name}.weight`] = tf.tensor2d(decoded.data, [decoded.rows, decoded.cols])
      })
      const isLast = group === steps.at(-1)!.groups.at(-1)
      const opening = isLast && i + 1 < config.layers ? openBlock(run, i + 1, prefixes.original) : undefined
      ;[next] = await Promise.all([opening, ...encoding])
    }
    await prefixes.quantised.advance(async (x, batch) => {
      throwIfAborted(run.signal)
      // What goes into the last group is known where it was gathered.
      if (last) return finishSublayer(config, weights, sublayer, x, await last.get(batch))
      return runSublayer(config, weights, sublayer, x)
    })
    await last?.close()
  }
  if (tuning) await tuneBlock(run, i, weights, tuning, prefixes.quantised)
  for (const stored of originals.values()) await stored.close()
  tf.dispose(weights)
  return next
}

/** Encodes one planned matrix, saves it to the journal and returns what it decodes to; reads its weights unless given. */
export async function encodePlanned(
  run: Run,
  planned: PlannedMatrix,
  moments: Moments,
  weights?: Matrix,
): Promise<Matrix> {
  const { name, block } = planned.module
  // Embedding and head turn only their columns, and their outputs are too many for a moment.
  const outputHessian = run.recipe.twoSided && block !== undefined ? await run.outputHessian(name) : undefined
  const fisher = run.recipe.fisher && block !== undefined ? await run.fisher(name) : undefined
  const shared = await run.shared(planned.module, planned.choice)
  const trains = choicesFor(run.recipe, planned.module, run.effort)[planned.choice].trials !== undefined
  const checkpoints = trains ? join(run.journal.folder, 'training', name) : undefined
  if (checkpoints) await mkdir(checkpoints, { recursive: true })
  const [result] = await run.pool.encode({
    ...moments,
    ...(fisher && { fisher }),
    ...(outputHessian && { outputHessian }),
    recipe: run.recipe.name,
    module: planned.module,
    effort: run.effort,
    tries: [{ choice: planned.choice, ...(shared && { shared }) }],
    w: weights ?? (await readMatrix(run.model, `${name}.weight`)),
    seed: seedFor(run.seed, name),
    compare: run.recipe.feedback === true,
    ...(checkpoints && { checkpoints }),
  })
  await run.ledger.finish(planned, result)
  if (checkpoints) await rm(checkpoints, { recursive: true })
  return result.decoded
}

/**
 * The original block on all windows. Keeps, where the recipe wants it, what the layers to be encoded are compared with: the
 * inputs of each group, and of a sublayer's last group what the sublayer makes of them, since that is added to the residual
 * stream: the stream itself, or the module's output where a norm comes between.
 */
async function passOriginal(
  run: Run,
  i: number,
  weights: Weights,
  prefix: Prefix,
  open: ReadonlySet<string>,
): Promise<Map<string, Activations>> {
  const { config } = run
  const steps = sublayers(config, i)
  const kept = new Map<string, Activations>()
  if (run.recipe.asymmetric) {
    for (const group of steps.flatMap(({ groups }) => groups)) {
      if (!group.some(module => open.has(module))) continue
      kept.set(group[0], await activations(run.spill(`${group[0]}.original`)))
    }
  }
  await prefix.advance(async ({ values, length }, batch) => {
    throwIfAborted(run.signal)
    let x = values
    for (const sublayer of steps) {
      const last = sublayer.groups.at(-1)![0]
      const found = new Map<string, Float32Array>()
      x = runSublayer(
        config,
        weights,
        sublayer,
        { values: x, length },
        {
          onInput(module, input) {
            if (module !== last && kept.has(module)) found.set(module, input.dataSync() as Float32Array)
          },
          linear(module, _, base) {
            const y = base()
            if (module === last && kept.has(module) && !sublayer.lastOutput)
              found.set(last, y.dataSync() as Float32Array)
            return y
          },
        },
      )
      if (sublayer.lastOutput && kept.has(last)) found.set(last, x)
      for (const [leader, seen] of found) await kept.get(leader)!.set(batch, seen)
    }
    return x
  })
  return kept
}

/** What every token counts in second moments beside its weight, whose mean is 1. */
const plainShare = 0.15

/**
 * Second moments of a group's input behind the quantised prefix, and with what the original has there. Tokens are weighed
 * by their gradients at the group's outputs where they are known (`tokenWeights`; the other half of YAQA's Kronecker
 * product). Some of every token stays, since the largest activations have the smallest gradients, and must survive all the
 * same. The inputs are left in `keep`, where it is given.
 */
async function gather(
  run: Run,
  weights: Weights,
  prefix: Prefix,
  sublayer: Sublayer,
  leader: string,
  originals: Activations | undefined,
  keep: Activations | undefined,
): Promise<Moments> {
  const hessian = symmetricMoment()
  const cross = moment()
  const tokens = await run.tokenWeights(leader)
  const isLast = leader === sublayer.groups.at(-1)![0]
  let seen = 0
  for (let b = 0; b < prefix.batches; b++) {
    throwIfAborted(run.signal)
    const before = await prefix.get(b)
    const x = inputOf(run.config, weights, sublayer, before, leader)
    await keep?.set(b, x.dataSync() as Float32Array)
    const [positions] = x.shape
    const known = tokens?.data.subarray(seen, seen + positions)
    seen += positions
    const weighed = tf.tidy(() =>
      known ? x.mul(tf.tensor2d(known, [positions, 1]).add(plainShare)) : x.clone(),
    )
    hessian.add(weighed, x)
    if (originals) {
      const original = await originals.get(b)
      const wanted = tf.tidy(() => {
        const there = tf.tensor2d(original, [positions, original.length / positions])
        return isLast ? wantedOutput(weights, sublayer, there, before) : there
      })
      cross.add(wanted, weighed)
      wanted.dispose()
    }
    tf.dispose([x, weighed])
  }
  if (!originals) return { hessian: hessian.take() }
  return { hessian: hessian.take(), [isLast ? 'outputMoment' : 'crossMoment']: cross.take() }
}

/**
 * What the last group of a sublayer should give, `[positions, out]`: what takes the residual stream from where the quantised
 * prefix has left it to where the original has it.
 */
function wantedOutput(
  weights: Weights,
  { lastOutput }: Sublayer,
  original: TfTensor,
  before: WindowBatch,
): TfTensor {
  if (!lastOutput) return original
  return lastOutput(weights, tf.tensor2d(before.values, original.shape as [number, number]), original)
}

/** Second moments of the head's input: of the prefix, and with another prefix's. */
export async function gatherHead(run: Run, quantised: Prefix, original?: Prefix): Promise<Moments> {
  const norm = await loadTensors(run.model, ['model.norm.weight'])
  const hessian = symmetricMoment()
  const cross = moment()
  const inputAt = async (prefix: Prefix, b: number) => headInput(run.config, norm, await prefix.get(b))
  for (let b = 0; b < quantised.batches; b++) {
    throwIfAborted(run.signal)
    const x = await inputAt(quantised, b)
    hessian.add(x, x)
    if (original) {
      const y = await inputAt(original, b)
      cross.add(y, x)
      y.dispose()
    }
    x.dispose()
  }
  tf.dispose(norm)
  return { hessian: hessian.take(), ...(original && { crossMoment: cross.take() }) }
}
