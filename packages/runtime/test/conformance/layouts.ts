import { random, tensor } from '@reallm/tensor-io'
import type { AdapterModule } from '@reallm/tensor-io/models'
import { expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { Weight, WeightForm } from '../../src/backend/weight.ts'
import { distance } from './distance.ts'
import { observing, Weights } from './programs.ts'
import { storedMatrices } from './stored-matrices.ts'

const ids = [5, 17, 0, 39, 22]

/** Multiplies by every stored layout, in every form, as the reference does that decodes it. */
export function layoutConformance(
  open: () => { readonly reference: Backend; readonly backend: Backend; readonly exact: WeightForm },
  tolerances: Readonly<Partial<Record<WeightForm, number>>>,
  ofBlocks: Readonly<Partial<Record<WeightForm, number>>>,
): void {
  /** Products with a matrix whose floats are held in the form `exact`. */
  async function products(on: Backend, weight: Weight, exact: WeightForm): Promise<Float32Array> {
    const [from, to] = [{ width: weight.cols }, { width: weight.rows }]
    const weights = new Weights(on, exact)
    using program = await observing(on, weights, {
      input: from,
      ops: [
        {
          ...{ kind: 'project', from, norm: undefined },
          members: [{ weight, bias: undefined, parts: [{ row: 0, to }] }],
        },
      ],
      output: to,
    })
    using state = on.state([])
    const got = await program.logits({ ids, state, length: ids.length }, 'all')
    weights.dispose()
    return got
  }

  it.each(storedMatrices)('multiplies by %s', async (_, stored) => {
    const { reference, backend, exact } = open()

    async function productsOf(on: Backend, form: WeightForm): Promise<Float32Array> {
      using weight = await on.weight({ kind: 'stored', stored }, form)
      expect([weight.rows, weight.cols]).toEqual(stored.shape)
      return await products(on, weight, on === reference ? 'f32' : exact)
    }

    expect(backend.runs(stored)).toBe(true)
    const want = await productsOf(reference, 'f32')
    const forms = stored.codec === 'gguf' ? ofBlocks : tolerances
    for (const [form, tolerance] of Object.entries(forms) as [WeightForm, number][]) {
      expect(distance(await productsOf(backend, form), want), form).toBeLessThan(tolerance)
    }
  })

  it.each(['LoRA', 'DoRA'])('multiplies by a stored matrix with %s beside it', async kind => {
    const { reference, backend, exact } = open()
    const [, stored] = storedMatrices.find(([name]) => name === 'scaled rotated trellis')!
    const [rows, cols] = stored.shape
    const draw = random(3)
    const factor = (shape: readonly [number, number]) =>
      tensor(
        'F32',
        shape,
        Float32Array.from({ length: shape[0] * shape[1] }, () => draw.normal()),
      )
    const magnitude = tensor(
      'F32',
      [rows],
      Float32Array.from({ length: rows }, () => 1 + draw.uniform()),
    )
    const change: AdapterModule = {
      ...{ a: factor([3, cols]), b: factor([rows, 3]), scaling: 0.1 },
      magnitude: kind === 'DoRA' ? magnitude : undefined,
    }

    async function productsOf(on: Backend, form: WeightForm, own: WeightForm): Promise<Float32Array> {
      using base = await on.weight({ kind: 'stored', stored }, form)
      using weight = await on.adapted(base, change)
      return await products(on, weight, own)
    }

    const want = await productsOf(reference, 'f32', 'f32')
    for (const [form, tolerance] of Object.entries(tolerances) as [WeightForm, number][]) {
      expect(distance(await productsOf(backend, form, exact), want), form).toBeLessThan(tolerance)
    }
  })
}
