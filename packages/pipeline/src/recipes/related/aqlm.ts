import { tuneCodebooks } from '@reallm/finetune'
import { f32ToF16, type Tensor, tensor } from '@reallm/tensor-io'
import { additive, additiveCodeOf, withCodebooks } from '@reallm/vq'
import type { TunedBlock } from '../../checkpoint/tuned-layer.ts'
import { type BlockJob, type Choice, choice, type Effort, type MatrixModule, recipe } from '../recipe.ts'
import { gridRows } from './grid-rows.ts'

/** Steps that a block is tuned for. */
const steps: Record<Effort, number> = { fast: 20, normal: 100, best: 400 }

/** Additive codes, refined under H matrix by matrix, then codebooks, scales and norms tuned block by block. */
export const aqlm = recipe('aqlm', {
  what: 'sums of codewords from several codebooks, refined together under H, then tuned block by block',
  source: 'AQLM arXiv 2401.06118',
  calibrated: true,
  block: additiveRates,
  embedding: gridRows,
  tune,
})

/**
 * Codebooks cost 16·M·2^B·8 bits of every matrix: the smaller it is, the shorter the codes, of which there are more.
 */
function additiveRates({ shape: [rows, cols] }: MatrixModule, effort: Effort): Choice[] {
  const codebookBits = rows * cols < 2 ** 17 ? 4 : rows * cols < 2 ** 19 ? 6 : 8
  const search = {
    fast: { beam: 4, rounds: 2, refine: 1 },
    normal: { beam: 8, rounds: 8, refine: 3 },
    best: { beam: 16, rounds: 16, refine: 8 },
  }[effort]
  return [1, 2, 3, 4, 5, 6, 7, 8]
    .filter(codebooks => codebooks * codebookBits <= 36)
    .map(codebooks =>
      choice(
        `${codebooks} codebooks of ${codebookBits} bits for 8 weights`,
        additive,
        { codebooks, codebookBits, dim: 8, ...search },
        'additive',
      ),
    )
}

async function tune({ encoded, effort, ...job }: BlockJob): Promise<TunedBlock> {
  const matrices = new Map([...encoded].map(([name, e]) => [name, { ...additiveCodeOf(e), shape: e.shape }]))
  const found = await tuneCodebooks({ ...job, matrices, steps: steps[effort] })
  const parts = new Map<string, Record<string, Tensor>>()
  for (const [name, { codebooks, scales }] of found.matrices) {
    const tuned = withCodebooks(encoded.get(name)!, codebooks, scales).parts
    parts.set(name, { codebooks: tuned.codebooks, scales: tuned.scales })
  }
  const norms = new Map<string, Tensor>()
  for (const [name, values] of found.norms) norms.set(name, tensor('F16', [values.length], f32ToF16(values)))
  job.onProgress?.({
    event: 'block-end',
    name: `model.layers.${job.block}`,
    done: job.block + 1,
    total: job.config.layers,
    error: found.after,
  })
  return { parts, norms }
}
