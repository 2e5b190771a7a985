import { expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { WeightForm } from '../../src/backend/weight.ts'
import { distance } from './distance.ts'
import { observing, Weights } from './programs.ts'
import { storedMatrices } from './stored-matrices.ts'

const ids = [5, 17, 0, 39, 22]

/** Multiplies by every stored layout, in every form, as the reference does that decodes it. */
export function layoutConformance(
  open: () => { readonly reference: Backend; readonly backend: Backend; readonly exact: WeightForm },
  tolerances: Readonly<Partial<Record<WeightForm, number>>>,
  packedBlocks: number | undefined,
): void {
  it.each(storedMatrices)('multiplies by %s', async (_, stored) => {
    const { reference, backend, exact } = open()
    const [rows, cols] = stored.shape
    const [from, to] = [{ width: cols }, { width: rows }]

    async function products(on: Backend, form: WeightForm): Promise<Float32Array> {
      using weight = await on.weight({ kind: 'stored', stored }, form)
      expect([weight.rows, weight.cols]).toEqual([rows, cols])
      const weights = new Weights(on, on === reference ? 'f32' : exact)
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

    expect(backend.runs(stored)).toBe(true)
    const want = await products(reference, 'f32')
    const blocks = stored.codec === 'gguf' && packedBlocks ? { packed: packedBlocks } : {}
    const forms = Object.entries({ ...tolerances, ...blocks }) as [WeightForm, number][]
    for (const [form, tolerance] of forms) {
      expect(distance(await products(backend, form), want), form).toBeLessThan(tolerance)
    }
  })
}
