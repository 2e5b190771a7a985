import { ReallmError } from '@reallm/tensor-io'

/** The TensorFlow.js library, whichever copy is in use; its tensors have chained operations (`x.add(y)`). */
export type Tf = typeof import('@tensorflow/tfjs-core') &
  typeof import('@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js')
/** A tfjs tensor (tensor-io's `Tensor` is the one on disk). */
export type TfTensor = import('@tensorflow/tfjs-core').Tensor

/** The name of a backend of TensorFlow.js. */
export type BackendName = 'native-gpu' | 'native' | 'webgpu' | 'wasm' | 'cpu'

/** Backends in the order in which `useBackend()` tries them. */
export const backendNames: readonly BackendName[] = ['native-gpu', 'native', 'webgpu', 'wasm', 'cpu']

/** Whether a backend can be used here, why or why not, and how to get it. */
export interface BackendStatus {
  readonly name: BackendName
  readonly found: boolean
  readonly why: string
  readonly how: string
}

/** The backend in use. */
export interface ActiveBackend {
  readonly name: BackendName
  readonly version: string
  /** Threads that its kernels run on; 0 for a GPU. */
  readonly threads: number
}

/** Options of `useBackend`. */
export interface BackendOptions {
  /** Threads of the native backend; only counts before it is first loaded. Default: all cores. */
  readonly threads?: number | undefined
  /** In a page: folder that serves tfjs-backend-wasm's `.wasm` files. */
  readonly wasmPath?: string | undefined
}

/** tfjs itself, a live binding: set by `useBackend`, and an error that says so before that. */
export let tf: Tf = new Proxy({} as Tf, {
  get() {
    throw new ReallmError('bad-option', 'no compute backend is chosen yet', {
      hint: 'call `await useBackend()` first',
    })
  },
})

let active: ActiveBackend | undefined

/** The backend chosen by `useBackend`, if any. */
export const activeBackend = (): ActiveBackend | undefined => active

/**
 * The values of what `compute` returns, everything else disposed. (Out of `tf.tidy` itself a typed array would be searched
 * for tensors, element by element.)
 */
export function valuesOf(compute: () => TfTensor): Float32Array {
  const result = tf.tidy(compute)
  const values = result.dataSync() as Float32Array
  result.dispose()
  return values
}

const nativePackages = { 'native-gpu': '@tensorflow/tfjs-node-gpu', native: '@tensorflow/tfjs-node' } as const

/**
 * Chooses what computes: the named backend, or the first of `native-gpu`, `native`, `webgpu`, `wasm`, `cpu` that
 * works here. Sets `tf`. Calling it again changes the backend; tensors do not move along.
 *
 * `webgpu` needs `@tensorflow/tfjs-backend-webgpu`, which a page imports first; a software adapter is taken only when it is named.
 *
 * Native packages are looked up in the folder `REALLM_TFJS_NATIVE`, in the working directory and beside this package.
 *
 * @throws `unsupported` when the named backend cannot be used, with what is missing and how to get it.
 * @example
 * const { name, threads } = await useBackend()
 */
export async function useBackend(name?: BackendName, options: BackendOptions = {}): Promise<ActiveBackend> {
  if (name === undefined && active) return active
  const refused: BackendStatus[] = []
  for (const candidate of name === undefined ? backendNames : [name]) {
    if (active?.name === candidate) return active
    const status = await statusOf(candidate, name !== undefined)
    if (status === undefined) {
      throw new ReallmError('bad-option', `unknown backend ${candidate}`, {
        hint: `known: ${backendNames.join(', ')}`,
      })
    }
    if (!status.found) {
      refused.push(status)
      continue
    }
    try {
      return (active = await start(candidate, options))
    } catch (cause) {
      if (cause instanceof ReallmError) throw cause
      refused.push({ ...status, found: false, why: firstLine(cause) })
    }
  }
  throw new ReallmError('unsupported', refused.map(r => `${r.name}: ${r.why}`).join('; '), {
    hint: refused.at(-1)!.how,
  })
}

/** Every backend: found or not, why, and how to get it. Loads nothing heavy. */
export async function listBackends(): Promise<BackendStatus[]> {
  return (await Promise.all(backendNames.map(name => statusOf(name)))).filter(status => status !== undefined)
}

/** `asked`: it is wanted by name, be it slow. */
async function statusOf(name: BackendName, asked = false): Promise<BackendStatus | undefined> {
  switch (name) {
    case 'native':
    case 'native-gpu':
      return nativeStatus(name)
    case 'webgpu':
      return webgpuStatus(asked)
    case 'wasm':
      return {
        name,
        found: typeof WebAssembly === 'object',
        why: 'comes with this package',
        how: 'nothing to do',
      }
    case 'cpu':
      return { name, found: true, why: 'plain JavaScript, always there, slow', how: 'nothing to do' }
    default:
      return undefined
  }
}

async function start(name: BackendName, options: BackendOptions): Promise<ActiveBackend> {
  if (name === 'native' || name === 'native-gpu') return startNative(name, options.threads)
  const library = await plainTfjs()
  let threads = 1
  if (name === 'wasm') {
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    const folder = options.wasmPath ?? wasmFolder()
    if (folder !== undefined) wasm.setWasmPaths(folder)
    await activate(library, 'wasm')
    const { registerTfjs } = await import('@reallm/kernels/tfjs')
    registerTfjs(library)
    const parallel = library.env().getBool('WASM_HAS_MULTITHREAD_SUPPORT')
    threads = parallel ? wasm.getThreadsCount() : 1
  } else if (name === 'webgpu') {
    const nodeModule = resolveFrom(searchRoots(), webgpuPackage)
    if (nodeModule) nodeRequire(nodeModule)(nodeModule)
    await activate(library, 'webgpu')
    const { splitAddN } = await import('./tfjs/add-n.ts')
    splitAddN(library)
    threads = 0
  } else {
    await activate(library, 'cpu')
  }
  tf = library
  return { name, version: library.version_core, threads }
}

async function activate(library: Tf, backend: string): Promise<void> {
  library.env().set('PROD', true) // silences advice that tfjs prints to the console
  if (!(await library.setBackend(backend))) throw new Error(`tfjs could not start its ${backend} backend`)
  await library.ready()
}

async function plainTfjs(): Promise<Tf> {
  const loaded = (await import('@tensorflow/tfjs-core')) as Tf & { default?: Tf }
  await Promise.all([import('./tfjs/gradients.ts'), import('@tensorflow/tfjs-backend-cpu')])
  return loaded.default ?? loaded
}

async function startNative(name: keyof typeof nativePackages, threads?: number): Promise<ActiveBackend> {
  const file = resolveFrom(searchRoots(), nativePackages[name])!
  const cores = threads ?? builtin('os').availableParallelism()
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  process.env.TF_NUM_INTRAOP_THREADS ??= String(cores)
  addRemovedUtilities()
  const library = nodeRequire(file)(file) as Tf
  await activate(library, 'tensorflow')
  tf = library
  const used = name === 'native-gpu' ? 0 : Number(process.env.TF_NUM_INTRAOP_THREADS)
  return { name, version: library.version_core, threads: used }
}

/** tfjs-node 4.22 calls two functions that Node 23 took out of `util`. */
function addRemovedUtilities(): void {
  const util: { isArray?: unknown; isNullOrUndefined?: unknown } = builtin('util')
  util.isNullOrUndefined ??= (x: unknown) => x === null || x === undefined
  util.isArray ??= Array.isArray
}

function nativeStatus(name: keyof typeof nativePackages): BackendStatus {
  const wanted = nativePackages[name]
  const how = `npm install ${wanted}@4.22.0, or set REALLM_TFJS_NATIVE to a folder whose node_modules has it`
  if (!inNode) return { name, found: false, why: 'only in Node', how: 'run in Node' }
  const file = resolveFrom(searchRoots(), wanted)
  if (!file) return { name, found: false, why: `${wanted} is not installed`, how }
  const { dirname, join } = builtin('path')
  const { existsSync, readdirSync } = builtin('fs')
  const library = join(dirname(dirname(file)), 'lib')
  const folders = existsSync(library) ? readdirSync(library) : []
  if (!folders.some(folder => existsSync(join(library, folder, 'tfjs_binding.node')))) {
    return { name, found: false, why: `${file} has no built binding (its install script did not run)`, how }
  }
  return { name, found: true, why: `installed at ${dirname(dirname(file))}`, how: 'nothing to do' }
}

const webgpuPackage = '@tensorflow/tfjs-backend-webgpu'

async function webgpuStatus(asked: boolean): Promise<BackendStatus> {
  const name = 'webgpu'
  const gpu = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu
  if (!gpu) {
    const how = inNode
      ? 'set navigator.gpu, for example with the npm package webgpu'
      : 'use a browser with WebGPU over https'
    return { name, found: false, why: 'navigator.gpu is missing', how }
  }
  const adapter = await gpu.requestAdapter()
  if (!adapter) return { name, found: false, why: 'no graphics adapter', how: 'check the graphics driver' }
  if (!asked && (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter)) {
    return { name, found: false, why: 'the adapter is a software one, slower than wasm', how: 'use a GPU' }
  }
  const registered = (await plainTfjs()).findBackendFactory('webgpu') != null
  if (!registered && !resolveFrom(searchRoots(), webgpuPackage)) {
    const how = `npm install ${webgpuPackage}@4.22.0 and import it before useBackend()`
    return { name, found: false, why: `${webgpuPackage} is not loaded`, how }
  }
  return { name, found: true, why: 'navigator.gpu has an adapter', how: 'nothing to do' }
}

interface Gpu {
  requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean }; isFallbackAdapter?: boolean } | null>
}

const inNode = typeof process === 'object' && typeof process.versions?.node === 'string'

/** A module of Node's own, without a static import that bundlers for pages would trip over. */
const builtin = <Name extends 'fs' | 'module' | 'os' | 'path' | 'url' | 'util'>(name: Name) =>
  process.getBuiltinModule(`node:${name}` as const)

const nodeRequire = (from: string) => builtin('module').createRequire(from)

/** Folders whose node_modules may have what is optional. */
function searchRoots(): string[] {
  if (!inNode) return []
  const { join } = builtin('path')
  const own = builtin('url').fileURLToPath(import.meta.url)
  const given = process.env.REALLM_TFJS_NATIVE
  return [...(given ? [join(given, 'x')] : []), join(process.cwd(), 'x'), own]
}

function resolveFrom(roots: readonly string[], name: string): string | undefined {
  for (const root of roots) {
    try {
      return nodeRequire(root).resolve(name)
    } catch {}
  }
  return undefined
}

function wasmFolder(): string | undefined {
  const file = resolveFrom(searchRoots().slice(-1), '@tensorflow/tfjs-backend-wasm')
  return file && `${builtin('path').dirname(file)}/`
}

const firstLine = (error: unknown): string => String((error as Error).message ?? error).split('\n')[0]
