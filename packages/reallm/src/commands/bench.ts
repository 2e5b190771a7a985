import type { Recipe } from '@reallm/pipeline'
import { Command } from 'commander'
import { type Io, print, table } from '../io.ts'

/** A measured speed. */
interface Speed {
  readonly what: string
  readonly value: number
  readonly unit: string
}

/** `reallm bench [name…]` */
export const benchCommand = (io: Io): Command =>
  new Command('bench')
    .description(
      'Measure what this machine does: matrix products on each backend, encoding and decoding by each recipe.',
    )
    .argument('[names...]', 'only these backends and recipes')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm bench
  $ reallm bench wasm reallm gptq                       one backend, two recipes
  $ reallm bench --json | jq '.speeds[] | select(.unit == "GFLOPS")'
`,
    )
    .action(async (names: string[], options: { json?: boolean | undefined }) => {
      const transformer = await import('@reallm/transformer')
      const { recipes } = await import('@reallm/pipeline')
      const { ReallmError } = await import('@reallm/tensor-io')
      const known = [...transformer.backendNames, 'kernels', ...recipes.map(recipe => recipe.name)]
      const unknown = names.find(name => !known.includes(name))
      if (unknown !== undefined) {
        throw new ReallmError('bad-option', `${unknown} is no backend and no recipe`, {
          hint: `known: ${known.join(', ')}`,
        })
      }
      const wanted = (name: string) => !io.signal.aborted && (names.length === 0 || names.includes(name))
      const speeds: Speed[] = []
      for (const { name, found } of await transformer.listBackends()) {
        // Plain JavaScript takes too long to be of interest unless it is asked for.
        if (!found || !wanted(name) || (name === 'cpu' && names.length === 0)) continue
        io.err(`backend ${name} …\n`)
        await transformer.useBackend(name)
        speeds.push(await backendSpeed(name))
      }
      if (wanted('kernels')) speeds.push(await kernelSpeed())
      for (const recipe of recipes) {
        if (!wanted(recipe.name)) continue
        io.err(`recipe ${recipe.name} …\n`)
        speeds.push(...(await recipeSpeeds(recipe, io.signal)))
      }
      print(io, options, { speeds }, () =>
        table([['what', 'speed', 'unit'], ...speeds.map(s => [s.what, s.value.toPrecision(3), s.unit])]),
      )
    })

/** The best of the runs that fit into half a second, in seconds. */
async function best(work: () => unknown): Promise<number> {
  await work()
  let least = Infinity
  for (const end = performance.now() + 500; performance.now() < end; ) {
    const started = performance.now()
    await work()
    least = Math.min(least, (performance.now() - started) / 1000)
  }
  return least
}

/** Edge of the square matrices that are multiplied. */
const edge = 512
const gflops = (seconds: number) => (2 * edge ** 3) / seconds / 1e9

async function backendSpeed(name: string): Promise<Speed> {
  // `tf` is a live binding: this reads the one that `useBackend` has just set.
  const { linear, tf } = await import('@reallm/transformer')
  const operand = () => tf.randomNormal([edge, edge])
  const [x, w] = [operand(), operand()]
  const seconds = await best(() => tf.tidy(() => void linear(x, w).dataSync()))
  tf.dispose([x, w])
  return { what: `${name}: x Wᵀ, ${edge}³`, value: gflops(seconds), unit: 'GFLOPS' }
}

async function kernelSpeed(): Promise<Speed> {
  const { matmul } = await import('@reallm/kernels')
  const m = await normalMatrix(edge)
  return {
    what: `kernels: A B, ${edge}³, one thread`,
    value: gflops(await best(() => matmul(m, m))),
    unit: 'GFLOPS',
  }
}

/** Encoding and decoding a matrix in the middle one of a recipe's configurations. */
async function recipeSpeeds(recipe: Recipe, signal: AbortSignal): Promise<Speed[]> {
  const { configurationsFor } = await import('@reallm/pipeline')
  const { bitsPerWeight } = await import('@reallm/tensor-io')
  const w = await normalMatrix(256)
  const module = { name: 'w', kind: 'q_proj', shape: [w.rows, w.cols], layer: 0 } as const
  const configurations = configurationsFor(recipe, module, 'normal')
  const configuration = configurations[Math.floor(configurations.length / 2)]
  const encode = () => configuration.encode(w, { seed: 1, signal })
  const stored = await encode()
  const what = `${recipe.name}: ${configuration.label}, ${bitsPerWeight(stored).toFixed(2)} bpw`
  const speed = async (verb: string, work: () => unknown): Promise<Speed> => ({
    what: `${what}, ${verb}`,
    value: w.data.length / (await best(work)) / 1e6,
    unit: 'M weights/s',
  })
  return [await speed('encode', encode), await speed('decode', () => configuration.decode(stored))]
}

async function normalMatrix(rows: number) {
  const { random } = await import('@reallm/tensor-io')
  const { normal } = random(1)
  return { rows, cols: rows, data: Float32Array.from({ length: rows * rows }, normal) }
}
