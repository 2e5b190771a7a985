import { matmul } from '@reallm/kernels'
import { matrix, random } from '@reallm/tensor-io'

const n = 512
const { normal } = random(1)
const a = matrix(Float32Array.from({ length: n * n }, normal), [n, n])

matmul(a, a) // the first call compiles
const started = performance.now()
for (let i = 0; i < 8; i++) matmul(a, a, { transposeB: true })
const seconds = (performance.now() - started) / 8000
console.log(
  `${n}×${n}×${n}: ${(1000 * seconds).toFixed(1)} ms, ${((2 * n ** 3) / seconds / 1e9).toFixed(1)} GFLOPS on one thread`,
)
