import { Command } from 'commander'
import { type Io, print, table } from '../io.ts'

/** A measured speed. */
interface Speed {
  readonly what: string
  readonly value: number
  readonly unit: string
}

/** `reallm bench` */
export const benchCommand = (io: Io): Command =>
  new Command('bench')
    .description(
      'Measure what this machine does: matrix products on each backend, encoding and decoding by each recipe.',
    )
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm bench
  $ reallm bench --json | jq '.speeds[] | select(.unit == "GFLOPS")'
`,
    )
    .action(async (options: { json?: boolean }) => {
      const speeds = [...(await backendSpeeds(io)), ...(await codecSpeeds(io))]
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

async function backendSpeeds(io: Io): Promise<Speed[]> {
  const { linear, listBackends, tf, useBackend } = await import('@reallm/transformer')
  const { matmul } = await import('@reallm/kernels')
  const { random } = await import('@reallm/tensor-io')
  const speeds: Speed[] = []
  const n = 512
  const { normal } = random(1)
  const values = Float32Array.from({ length: n * n }, normal)
  const gflops = (seconds: number) => (2 * n ** 3) / seconds / 1e9
  for (const { name, found } of await listBackends()) {
    // One native library in a process; plain JavaScript takes too long to be of interest.
    if (!found || name === 'cpu') continue
    if (io.signal.aborted) break
    io.err(`backend ${name} …\n`)
    await useBackend(name)
    const [x, w] = [tf.tensor2d(values, [n, n]), tf.tensor2d(values, [n, n])]
    const seconds = await best(() => tf.tidy(() => linear(x, w).dataSync()))
    tf.dispose([x, w])
    speeds.push({ what: `${name}: x Wᵀ, ${n}³`, value: gflops(seconds), unit: 'GFLOPS' })
  }
  const m = { rows: n, cols: n, data: values }
  const seconds = await best(() => matmul(m, m))
  return [...speeds, { what: `kernels: A B, ${n}³, one thread`, value: gflops(seconds), unit: 'GFLOPS' }]
}

async function codecSpeeds(io: Io): Promise<Speed[]> {
  const { choicesFor, recipes } = await import('@reallm/pipeline')
  const { bitsPerWeight, random } = await import('@reallm/tensor-io')
  const speeds: Speed[] = []
  const shape = [256, 256] as const
  const { normal } = random(1)
  const w = { rows: 256, cols: 256, data: Float32Array.from({ length: 256 * 256 }, normal) }
  for (const recipe of recipes) {
    if (io.signal.aborted) break
    io.err(`recipe ${recipe.name} …\n`)
    const choices = choicesFor(recipe, { name: 'w', kind: 'q_proj', shape, block: 0 }, 'normal')
    const choice = choices[Math.floor(choices.length / 2)]
    const encode = () => choice.encode(w, { seed: 1, signal: io.signal })
    const stored = await encode()
    const what = `${recipe.name}: ${choice.label}, ${bitsPerWeight(stored).toFixed(2)} bpw`
    const weights = 256 * 256
    speeds.push({ what: `${what}, encode`, value: weights / (await best(encode)) / 1e6, unit: 'M weights/s' })
    const seconds = await best(() => choice.decode(stored))
    speeds.push({ what: `${what}, decode`, value: weights / seconds / 1e6, unit: 'M weights/s' })
  }
  return speeds
}
