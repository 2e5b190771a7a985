import { tuneCodebooks } from '@reallm/finetune'
import { f32ToF16, type Tensor, tensor } from '@reallm/tensor-io'
import { additive, additiveCodeOf, withCodebooks } from '@reallm/vq'
import type { MatrixModule } from '../../open/model-parts.ts'
import type { TunedLayer } from '../../quantise/tuned-layer.ts'
import { type Configuration, configuration } from '../configuration.ts'
import { embeddingGrids } from '../configurations/scalar.ts'
import { type Effort, type LayerJob, recipe } from '../recipe.ts'

/** Steps that a layer is trained for. */
const steps: Record<Effort, number> = { fast: 20, normal: 100, best: 400 }

/** Sequences of a step. */
const rows = 8

/** Additive codes, refined under H matrix by matrix, then codebooks, scales and norms trained layer by layer. */
export const aqlm = recipe({
  name: 'aqlm',
  what: 'sums of codewords from several codebooks, refined together under H, then trained layer by layer',
  source: 'AQLM arXiv 2401.06118',
  layers: additiveRates,
  embeddings: embeddingGrids,
  allocate: 'measured',
  objective: { kind: 'outputs' },
  quantise: { kind: 'perMatrix', tune },
})

/**
 * Codebooks cost 16·M·2^B·8 bits of every matrix: the smaller it is, the shorter the codes, of which there are more.
 */
function additiveRates({ shape: [rows, cols] }: MatrixModule, effort: Effort): Configuration[] {
  const codebookBits = rows * cols < 2 ** 17 ? 4 : rows * cols < 2 ** 19 ? 6 : 8
  const search = {
    fast: { beam: 4, rounds: 2, refine: 1 },
    normal: { beam: 8, rounds: 8, refine: 3 },
    best: { beam: 16, rounds: 16, refine: 8 },
  }[effort]
  return [1, 2, 3, 4, 5, 6, 7, 8]
    .filter(codebooks => codebooks * codebookBits <= 36)
    .map(codebooks =>
      configuration({
        id: `additive-${codebooks}`,
        label: `${codebooks} codebooks of ${codebookBits} bits for 8 weights`,
        codec: additive,
        params: { codebooks, codebookBits, dim: 8, ...search },
        family: 'additive',
      }),
    )
}

async function tune({ encoded, effort, ...job }: LayerJob): Promise<TunedLayer> {
  const matrices = new Map([...encoded].map(([name, e]) => [name, { ...additiveCodeOf(e), shape: e.shape }]))
  const found = await tuneCodebooks({ ...job, block: job.layer, matrices, steps: steps[effort], rows })
  const parts = new Map<string, Record<string, Tensor>>()
  for (const [name, { codebooks, scales }] of found.matrices) {
    const tuned = withCodebooks(encoded.get(name)!, codebooks, scales).parts
    parts.set(name, { codebooks: tuned.codebooks, scales: tuned.scales })
  }
  const norms = new Map<string, Tensor>()
  for (const [name, values] of found.norms) norms.set(name, tensor('F16', [values.length], f32ToF16(values)))
  job.onProgress?.({
    event: 'layer-end',
    name: `model.layers.${job.layer}`,
    done: job.layer + 1,
    total: job.config.layers,
    error: found.after,
  })
  return { parts, norms }
}
