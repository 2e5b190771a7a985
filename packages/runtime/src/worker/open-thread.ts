import type { OpenThread } from './line.ts'

/** Opens the Worker that is given, or a new one with this package's script. */
export async function threadOf(worker: true | Worker): Promise<OpenThread> {
  if (worker !== true) return inPage(() => worker)
  if (typeof process !== 'undefined' && typeof process.getBuiltinModule === 'function') return inNode
  const { pageWorker } = await import('./page-worker.ts')
  return inPage(pageWorker)
}

const inPage =
  (open: () => Worker): OpenThread =>
  (hear, failed) => {
    const worker = open()
    worker.onmessage = ({ data }) => hear(data)
    worker.onerror = ({ message }) => failed(message ?? 'its script could not be loaded')
    return { post: request => worker.postMessage(request), owe() {}, end: () => worker.terminate() }
  }

const inNode: OpenThread = (hear, failed) => {
  const threads = process.getBuiltinModule('node:worker_threads')
  // not as bundlers for pages know it: what is for Node is nothing to them
  const script = new URL(import.meta.url.replace(/[^/]*$/, 'worker.js'))
  const worker = new threads.Worker(script)
  worker.on('message', hear)
  worker.on('error', error => failed(error.message))
  worker.on('exit', code => failed(`code ${code}`))
  return {
    post: request => worker.postMessage(request),
    owe: isAwaited => (isAwaited ? worker.ref() : worker.unref()),
    end: () => void worker.terminate(),
  }
}
