import type { MatrixShape } from '../../core/tensor.ts'
import type { ColumnCodec, MatrixCodec } from '../codec.ts'
import { assert, refused, rejected } from './assert.ts'
import {
  checkAbort,
  checkBadInput,
  checkColumns,
  checkCost,
  checkError,
  checkFlat,
  checkHessian,
  checkRoundTrip,
  checkRows,
  checkSeed,
  checkTampered,
} from './checks.ts'
import { normals } from './measure.ts'
import { realWeights } from './real-weights.ts'

/** Checks that every codec has to pass; a codec that skips one says why. */
export type ConformanceCheck =
  | 'round trip'
  | 'cost'
  | 'seed'
  | 'gaussian error'
  | 'real error'
  | 'odd shapes'
  | 'flat weights'
  | 'hessian'
  | 'abort'
  | 'bad input'
  | 'bad shape'
  | 'columns'
  | 'rows'
  | 'tampered parts'

/** Parameters that a codec is checked with. */
export interface ConformanceCase<Params> {
  /** Shown in the test's name; the parameters as JSON by default. */
  readonly label?: string | undefined
  readonly params: Params
  /** Largest mean squared error on unit normals, `[128×256]`. */
  readonly gaussian: number
  /** Largest squared error on real weights (64×192 of a language model), relative to their energy. */
  readonly real: number
}

/** What the conformance suite checks a codec on. */
export interface ConformanceOptions<Params> {
  readonly codec: MatrixCodec<Params> | ColumnCodec<Params>
  /** Widths must be a multiple of it; 1 unless told otherwise. */
  readonly block?: number | undefined
  /** The first one goes through every check, the others through cost, errors and round trip. */
  readonly cases: readonly [ConformanceCase<Params>, ...ConformanceCase<Params>[]]
  /** A shape that the parameters do not fit, and what the error's message and hint say. */
  readonly badShape?:
    | { readonly shape: MatrixShape; readonly params: Params; readonly says: RegExp }
    | undefined
  /** Checks that do not apply, each with the reason. */
  readonly skip?: Partial<Record<ConformanceCheck, string>> | undefined
}

/** The two functions of a test runner (vitest, jest, mocha, node:test) that the suite takes. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  readonly it: ((name: string, body: () => Promise<void>) => unknown) & {
    skip(name: string, body: () => Promise<void>): unknown
  }
}

/**
 * Checks that a codec keeps the promises of `MatrixCodec`: round trip, exact cost, same seed → same bytes, error
 * ceilings, odd shapes, abort, clear errors, `columns()` equal to `encode()`, single rows, damaged parts refused.
 *
 * @example
 * import { describe, it } from 'vitest'
 * conformance({ describe, it }, { codec: grid, cases: [{ params: { bits: 3 }, gaussian: 0.035, real: 0.04 }] })
 */
export function conformance<Params>({ describe, it }: TestRunner, options: ConformanceOptions<Params>): void {
  const { codec, cases, badShape, skip = {}, block = 1 } = options
  const wide = (cols: number) => Math.ceil(cols / block) * block
  const [{ params }] = cases
  const check = (name: ConformanceCheck, detail: string, body: () => Promise<void>) => {
    const why = skip[name]
    if (why) it.skip(`${name}${detail}: not for ${codec.name}, ${why}`, body)
    else it(`${name}${detail}`, body)
  }

  describe(`${codec.name} conforms`, () => {
    for (const each of cases) {
      const label = ` ${each.label ?? JSON.stringify(each.params)}`
      check('round trip', label, () => checkRoundTrip(codec, each.params, [48, wide(96)]))
      check('cost', label, () => checkCost(codec, each.params, [48, wide(96)]))
      check('gaussian error', `${label} ≤ ${each.gaussian}`, async () => {
        await checkError(codec, each.params, normals(128, 256, 1), each.gaussian)
      })
      check('real error', `${label} ≤ ${each.real}`, () =>
        checkError(codec, each.params, realWeights(wide(192)), each.real),
      )
    }
    check('seed', '', () => checkSeed(codec, params, wide(96)))
    check('odd shapes', '', async () => {
      for (const shape of [
        [1, 5],
        [3, 1],
        [17, 37],
        [65, 30],
      ] as const) {
        const [rows, cols] = shape
        await checkCost(codec, params, [rows, wide(cols)])
        await checkRoundTrip(codec, params, [rows, wide(cols)])
      }
    })
    check('flat weights', '', () => checkFlat(codec, params, wide(64)))
    check('hessian', '', () => checkHessian(codec, params, wide(64)))
    check('abort', '', () => checkAbort(codec, params, wide(128)))
    check('bad input', '', () => checkBadInput(codec, params, wide(32)))
    check('bad shape', '', async () => {
      assert(badShape, 'give badShape, or skip it with a reason')
      refused(() => codec.cost(badShape.shape, badShape.params), 'bad-option', badShape.says)
      const [rows, cols] = badShape.shape
      await rejected(
        codec.encode(normals(rows, cols, 1), badShape.params, { seed: 1 }),
        'bad-option',
        badShape.says,
      )
    })
    check('columns', '', () => checkColumns(codec, params, wide(96)))
    check('rows', '', () => checkRows(codec, params, wide(48)))
    check('tampered parts', '', () => checkTampered(codec, params, wide(64)))
  })
}
