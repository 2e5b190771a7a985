/** A running helper thread. */
export interface Helper {
  terminate(): void
}

interface Start {
  readonly module: WebAssembly.Module
  /** They run the operations that `module` does not know. */
  readonly others?: readonly WebAssembly.Module[]
  readonly memory: WebAssembly.Memory
  /** Its number; that of the main thread is 0. */
  readonly thread: number
}

/** Instantiates the modules on the shared memory and runs the `work` loop of the first until it is told to stop; each hands on what it does not know. */
const helperSource = (
  receive: string,
  send: string,
) => `${receive}(({ module, others = [], memory, thread }) => {
  const start = (module, other) => new WebAssembly.Instance(module, { env: { memory, other, run() {} } }).exports
  const { work } = start(module, others.reduce((next, other) => start(other, next).execute, start))
  ${send}('ready')
  work(thread)
})`

const nodeSource = `const { workerData, parentPort } = require('node:worker_threads');
${helperSource('(f => f(workerData))', 'parentPort.postMessage')}`

const pageSource = helperSource('(f => { onmessage = e => f(e.data) })', 'postMessage')

/** Whether helper threads can share a memory: always in Node, in pages only when they are cross-origin isolated. */
export const canShareMemory = (): boolean =>
  typeof SharedArrayBuffer !== 'undefined' &&
  (isNode() || (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true)

/** Whether this thread may sleep until others are done: not a page's main thread. */
export const canSleep = (): boolean => !('window' in globalThis)

/** Starts a thread and waits until it listens. */
export const startHelper = (start: Start): Promise<Helper> => (isNode() ? inNode(start) : inPage(start))

async function inNode(start: Start): Promise<Helper> {
  const { Worker } = process.getBuiltinModule('node:worker_threads')
  const worker = new Worker(nodeSource, { eval: true, workerData: start })
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  worker.unref()
  return { terminate: () => void worker.terminate() }
}

async function inPage(start: Start): Promise<Helper> {
  const url = URL.createObjectURL(new Blob([pageSource], { type: 'text/javascript' }))
  const worker = new Worker(url)
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve
    worker.onerror = event => reject(new Error(event.message))
    worker.postMessage(start)
  }).finally(() => URL.revokeObjectURL(url))
  return worker
}

const isNode = (): boolean =>
  typeof process !== 'undefined' && typeof process.getBuiltinModule === 'function' && canSleep()
