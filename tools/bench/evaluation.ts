/**
 * What perplexity takes: `reallm eval` beside llama.cpp's own inference, on one thread each and all at the same time, so that other
 * load of the machine slows all alike. Each runs with one and with several windows; what the further ones take counts.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/evaluation.ts MODEL.gguf TEXT --python PYTHON [--llama FOLDER …]
 *     [--windows 8] [--rounds 2] [--record]
 *
 * PYTHON, and the folders with builds of llama.cpp, which are called as they are: as `tools/bench/gguf-target/llama_cpp.py` says.
 * With REALLM_TFJS_NATIVE, native TensorFlow.js is measured too.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { packages, startBench } from '../results/record.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    llama: { type: 'string', multiple: true, default: [] },
    windows: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
  },
})
const [model, text] = positionals
if (!model || !text) throw new Error('needs a model and a text')
const windows = Number(values.windows)
if (!(windows > 1)) throw new Error('--windows: two or more')

const finish = startBench({
  name: 'evaluation',
  what: 'CPU time of a perplexity measurement of SmolLM2-135M-Instruct (Q4_1): windows of 512 tokens, the second half of each scored, one thread. All programs ran at the same time.',
  sources: packages('tensor-io', 'kernels', 'runtime', 'transformer', 'eval'),
  columns: {
    program: { label: 'program' },
    arithmetic: { label: 'arithmetic' },
    perWindow: { label: 'a window, CPU s', unit: 's', digits: 2 },
    start: { label: 'start and loading, CPU s', unit: 's', digits: 1 },
    whole: { label: '24 windows, CPU s', unit: 's', digits: 0 },
  },
  key: ['program', 'arithmetic'],
  seed: null,
})

interface Contender {
  readonly program: string
  readonly arithmetic: string
  /** The command that measures so many windows. */
  command(windows: number): readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const work = await mkdtemp(join(tmpdir(), 'reallm-evaluation-'))
const path = (...names: string[]) => join(import.meta.dirname, ...names)
const reallm = (device: string, env: Contender['env'] = {}) => ({
  env,
  command: (count: number) => [
    ...[
      process.execPath,
      path('..', '..', 'packages', 'reallm', 'bin', 'reallm.js'),
      'eval',
      model,
      '--text',
      text,
    ],
    ...['--windows', `${count}`, '--device', device, '--no-cache', '--json'],
  ],
})
const contenders: readonly Contender[] = [
  {
    program: 'reallm, WebAssembly',
    arithmetic: 'weights of 13 bits, activations of 16',
    ...reallm('wasm', { REALLM_TFJS_NATIVE: '' }),
  },
  ...(process.env.REALLM_TFJS_NATIVE
    ? [
        {
          program: 'reallm, native TensorFlow.js',
          arithmetic: '32-bit floats',
          ...reallm('tfjs', {
            OMP_NUM_THREADS: '1',
            TF_NUM_INTRAOP_THREADS: '1',
            TF_NUM_INTEROP_THREADS: '1',
          }),
        },
      ]
    : []),
  ...values.llama.map(folder => ({
    program: `llama.cpp, ${basename(folder)}`,
    arithmetic: 'activations of 8 bits',
    env: { LLAMA_LIBS: folder, THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    command: (count: number) => [
      ...[values.python, path('gguf-target', 'llama_cpp.py'), 'reference', model, text],
      ...[join(work, `${basename(folder)}-${count}.npy`), '--windows', `${count}`],
    ],
  })),
]

/** CPU seconds of a command and its children, as the shell tells. */
async function cpuSeconds({ command, env }: Contender, count: number): Promise<number> {
  const { stderr } = await promisify(execFile)('bash', ['-c', 'time "$@"', 'bash', ...command(count)], {
    env: { ...process.env, ...env, TIMEFORMAT: 'cpu %U %S' },
    maxBuffer: 1 << 26,
  })
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)\s*$/.exec(stderr)!.map(Number)
  return user + system
}

try {
  const found = contenders.map(() => ({ perWindow: [] as number[], start: [] as number[] }))
  for (let round = 0; round < Number(values.rounds); round++) {
    const measure = (count: number) => Promise.all(contenders.map(each => cpuSeconds(each, count)))
    const [one, several] = [await measure(1), await measure(windows)]
    for (const [i, { perWindow, start }] of found.entries()) {
      perWindow.push((several[i] - one[i]) / (windows - 1))
      start.push(one[i] - perWindow[round])
    }
  }
  finish(
    contenders.map(({ program, arithmetic }, i) => {
      const [perWindow, start] = [mean(found[i].perWindow), mean(found[i].start)]
      return { program, arithmetic, perWindow, start, whole: start + 24 * perWindow }
    }),
  )
} finally {
  await rm(work, { recursive: true })
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0) / numbers.length
}
