import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Io } from './io.ts'
import { run } from './run.ts'

const stop = new AbortController()
process.on('SIGINT', () => {
  // The first Ctrl-C asks the work to stop where it can go on; the second one does not ask.
  if (stop.signal.aborted) process.exit(130)
  stop.abort()
})
// `reallm … | head` closes stdout early; that is no failure.
process.stdout.on('error', error => process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : 1))

const io: Io = {
  out: text => void process.stdout.write(text),
  err: text => void process.stderr.write(text),
  async stdin() {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  },
  lines: () => createInterface({ input: process.stdin, signal: stop.signal }),
  isTty: process.stderr.isTTY === true,
  signal: stop.signal,
  verbose: false,
}

const code = await run(process.argv.slice(2), io)
// Worker threads and GPU back ends may hold the process; results must be out before it goes.
if (process.stdout.writableLength > 0) await once(process.stdout, 'drain')
process.exit(code)
