import { afterAll, beforeAll, describe } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { referenceBackend } from '../../src/backend/reference/reference-backend.ts'
import type { WeightForm } from '../../src/backend/weight.ts'
import { layoutConformance } from './layouts.ts'
import { modelConformance } from './models.ts'
import { opConformance } from './ops.ts'

export interface ConformanceOptions {
  /** The form whose products are exact, up to float32. */
  readonly exact: WeightForm
  /** How far logits may be from the reference's, relative to the largest, in the form `exact`. */
  readonly tolerance: number
  /** The same of products with stored matrices, in each form that is tested. */
  readonly forms: Readonly<Partial<Record<WeightForm, number>>>
  /** The same of GGUF's blocks, where it is another. */
  readonly blocks?: ConformanceOptions['forms']
  /** Default all; models take longest. */
  readonly parts?: readonly ('ops' | 'layouts' | 'models')[]
}

/** What every backend passes: op by op, stored layout by stored layout, model by model, beside the reference. */
export function backendConformance(
  name: string,
  start: () => Promise<Backend>,
  { exact, tolerance, forms, blocks, parts = ['ops', 'layouts', 'models'] }: ConformanceOptions,
): void {
  describe(`${name} conforms`, () => {
    let backend: Backend
    const reference = referenceBackend()
    beforeAll(async () => {
      backend = await start()
    })
    afterAll(() => backend[Symbol.dispose]())

    const has = (part: (typeof parts)[number]) => describe.skipIf(!parts.includes(part))
    has('ops')('ops', () => opConformance(() => ({ reference, backend, form: exact, tolerance })))
    has('layouts')('stored layouts', () =>
      layoutConformance(() => ({ reference, backend, exact }), forms, { ...forms, ...blocks }),
    )
    has('models')('models', () => modelConformance(() => ({ reference, backend, exact }), tolerance))
  })
}
