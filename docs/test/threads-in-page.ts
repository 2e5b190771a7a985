import { createPool, gram, matmul } from '@reallm/kernels'
import { createInference } from '@reallm/kernels/inference'
import { random } from '@reallm/tensor-io'

const a = { rows: 203, cols: 310, data: Float32Array.from({ length: 203 * 310 }, random(1).normal) }
const products = () => [matmul(a, a, { transposeB: true }).data, gram(a).data]

/** One product of the inference engine, repeated on new memory so that it grows while helpers run. */
async function inference(threads: number): Promise<{ threads: number; results: Float32Array[] }> {
  const engine = await createInference({ threads })
  const { kernels, arena, threads: started } = engine
  const results = Array.from({ length: 20 }, () => {
    const [from, w, x, y] = [a.data.length, 204 * 312, 312, 204].map(n => arena.allocate(4 * n + 2 ** 22))
    arena.floats(from, 200 * 308).set(a.data.subarray(0, 200 * 308))
    arena.floats(x, 308).set(a.data.subarray(0, 308))
    kernels.packFloats(from, w, 200, 308, 308, 0)
    kernels.matmulFloat(w, x, 308, y, 200, 200, 308, 1, 0, 1)
    return arena.floats(y, 200).slice()
  })
  engine.dispose()
  return { threads: started, results }
}

/** Runs inside a page: what several threads compute, against one. */
export async function run() {
  const single = [...products(), ...(await inference(1)).results]
  const pool = await createPool({ threads: 3 })
  const several = await inference(3)
  const many = [...products(), ...several.results]
  pool.close()
  const same = many.every((data, i) => data.every((value, j) => Object.is(value, single[i][j])))
  return { isolated: crossOriginIsolated, threads: [pool.threads, several.threads], same }
}
