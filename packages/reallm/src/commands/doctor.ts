import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { bytesText } from '@reallm/tensor-io'
import { Command } from 'commander'
import { type Io, print, table } from '../io.ts'

/** One thing that was looked for. */
interface Finding {
  readonly what: string
  readonly found: boolean
  readonly why: string
  /** How to get it; absent when there is nothing to do. */
  readonly how?: string | undefined
}

/** `reallm doctor` */
export const doctorCommand = (io: Io): Command =>
  new Command('doctor')
    .description(
      'Say what this machine offers: compute backends, threads, SIMD, memory; and how to get what is missing.',
    )
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm doctor
  $ reallm doctor --json | jq '.findings[] | select(.found | not)'

A faster backend is optional: install @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu (4.22.0) in the working
directory, or set REALLM_TFJS_NATIVE to a folder whose node_modules has one.
`,
    )
    .action(async (options: { json?: boolean | undefined }) => {
      const { listBackends } = await import('@reallm/transformer')
      const findings: Finding[] = [node(), threads(), ...simd(), memory(), await gpu()]
      const backends = await listBackends()
      for (const { name, found, why, how } of backends) {
        findings.push({ what: `backend ${name}`, found, why, how: found ? undefined : how })
      }
      const backend = backends.find(b => b.found)?.name ?? 'none'
      print(io, options, { backend, findings }, () => {
        const rows = findings.map(f => [
          f.found ? 'yes' : 'no',
          f.what,
          f.how ? `${f.why}; to get it: ${f.how}` : f.why,
        ])
        return `${table([['', 'what', 'why'], ...rows])}\nModels are computed on: ${backend}\n`
      })
    })

function node(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const found = major > 20 || (major === 20 && minor >= 19)
  return {
    what: 'Node.js >= 20.19',
    found,
    why: `this is ${process.version} on ${process.platform} ${process.arch}`,
    how: found ? undefined : 'install a current Node from nodejs.org',
  }
}

function threads(): Finding {
  const count = availableParallelism()
  return {
    what: 'threads',
    found: count > 1,
    why: `${count} for encoding (${cpus()[0]?.model.trim() ?? 'unknown processor'})`,
    how: count === 1 ? 'allow the process more than one core' : undefined,
  }
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

/** The GPU that `--device webgpu` runs models on. */
async function gpu(): Promise<Finding> {
  const { findGpu } = await import('@reallm/runtime')
  const { found, why, milliseconds } = await findGpu()
  if (!milliseconds) {
    const driver = 'the driver of a GPU (on Linux that of Vulkan, and libvulkan1)'
    const missing = isInstalled('webgpu') ? driver : `the package webgpu beside reallm, and ${driver}`
    return { what: 'GPU by WebGPU', found, why, how: `install ${missing}` }
  }
  const { gpu, cpu } = milliseconds
  const times = `${gpu.toFixed(1)} ms for a token of a small model, ${cpu.toFixed(1)} ms on the CPU`
  return { what: 'GPU by WebGPU', found, why: `${why}: ${times}` }
}

function memory(): Finding {
  const total = Math.min(totalmem(), process.constrainedMemory?.() || Infinity)
  const found = total >= 2e9
  return {
    what: 'memory >= 2 GB',
    found,
    why: `${bytesText(total)} in all, ${bytesText(freemem())} free`,
    how: found ? undefined : 'compress with --max-memory, or a smaller model',
  }
}

/** A module with one function that uses one instruction of plain SIMD: i32x4.splat. */
const plainSimd = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 17, 11,
]
/** The same with i32x4.relaxed_trunc_f32x4_s. */
const relaxedSimd = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
  ...[10, 14, 1, 12, 0, 67, 0, 0, 0, 0, 253, 19, 253, 129, 2, 11],
]

function simd(): Finding[] {
  const has = (bytes: number[]) => WebAssembly.validate(Uint8Array.from(bytes))
  const [plain, relaxed] = [has(plainSimd), has(relaxedSimd)]
  return [
    {
      what: 'WebAssembly SIMD',
      found: plain,
      why: plain ? 'the kernels use it' : 'this Node has none: kernels run as plain JavaScript',
      how: plain ? undefined : 'use Node 20.19 or newer',
    },
    {
      what: 'relaxed SIMD',
      found: relaxed,
      why: relaxed ? 'faster dot products' : 'this Node has none: dot products are slower',
      how: relaxed ? undefined : 'use Node 22 or newer',
    },
  ]
}
