import { ggufTensors, ggufValues, storedParts } from '@reallm/tensor-io/gguf'
import type { InputSquares } from '@reallm/tensor-io/imatrix'
import { type TfTensor, type TransformerConfig, valuesOf } from '@reallm/transformer'
import type { ModelParts } from '../open/model-parts.ts'

/** Sums of squares, of a stack's matrices one after the other, and the tokens of each. */
interface Sums {
  readonly squares: Float64Array
  readonly tokens: number[]
}

/** Adds up squares of the inputs of matrices, by llama.cpp's names and in its order of inputs. */
export function inputSquares(config: TransformerConfig, { matrices }: ModelParts) {
  const inGguf = ggufTensors(config)
  const modules = new Map(matrices.map(module => [module.name, module]))
  const sums = new Map<string, Sums>()
  return {
    /** Inputs `x` `[…, in]` of a module; others are left out. */
    add(module: string, x: TfTensor): void {
      const [of, stored] = [modules.get(module), inGguf.get(`${module}.weight`)]
      if (!of || !stored) return
      const cols = x.shape.at(-1)!
      const { inStack } = stored
      const found = valuesOf(() => x.reshape([-1, cols]).square().sum(0))
      const isTiled = stored.tiled?.axis === 'columns'
      const squares = isTiled
        ? ggufValues({ ...stored, interleavedHeads: 0 }, Float32Array.from(found), 1, 'to')
        : found
      for (const { name } of storedParts(stored, of.shape)) {
        const count = inStack?.shape[0] ?? 1
        const sum = sums.get(name) ?? {
          squares: new Float64Array(count * cols),
          tokens: Array(count).fill(0),
        }
        sums.set(name, sum)
        const place = inStack?.expert ?? 0
        for (const [c, v] of squares.entries()) sum.squares[place * cols + c] += v
        sum.tokens[place] += x.size / cols
      }
    },
    /** Mean squares of all that were seen. */
    means: (): ReadonlyMap<string, InputSquares> =>
      new Map(
        [...sums].map(([name, { squares, tokens }]) => {
          const cols = squares.length / tokens.length
          const mean = (v: number, i: number) => v / Math.max(1, tokens[Math.floor(i / cols)])
          return [name, { meanSquares: Float32Array.from(squares, mean), tokens }]
        }),
      ),
  }
}
