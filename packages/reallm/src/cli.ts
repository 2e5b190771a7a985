import { createInterface } from 'node:readline'
import { textOf } from '@reallm/tensor-io'
import { fitted } from './fitted.ts'
import type { Io } from './io.ts'
import { run } from './run.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => {
    // The first Ctrl-C asks the work to stop where it can go on; the second one does not ask.
    if (stop.signal.aborted) process.exit(130)
    stop.abort()
  })
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `reallm … | head` closes stdout early; that is no failure.
  if (error.code === 'EPIPE') process.exit(0)
  process.stderr.write(`reallm: the output cannot be written: ${error.message}\n`)
  process.exit(1)
})

const io: Io = {
  out: text => void process.stdout.write(text),
  // a line that is drawn over another has its own length
  err: text => void process.stderr.write(text.startsWith('\r') ? text : fitted(text, process.stderr.columns)),
  async stdin() {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return textOf('stdin', Buffer.concat(chunks))
  },
  async *lines() {
    // Latin-1 keeps the bytes as they are until a line is whole.
    const input = process.stdin.setEncoding('latin1')
    let line = 0
    for await (const bytes of createInterface({ input, signal: stop.signal })) {
      line++
      yield textOf('stdin', Buffer.from(bytes, 'latin1'), { line, start: line === 1 })
    }
  },
  isTty: process.stderr.isTTY === true,
  get columns() {
    return process.stderr.columns
  },
  get outColumns() {
    return process.stdout.columns
  },
  signal: stop.signal,
  verbose: false,
}

const code = await run(process.argv.slice(2), io)
// Worker threads and GPU back ends may hold the process; results must be out before it goes, or their loss be heard of.
await new Promise(resolve => process.stdout.write('', resolve))
process.exit(code)
