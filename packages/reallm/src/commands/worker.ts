import { Command } from 'commander'
import type { Io } from '../io.ts'
import { parseWhole } from '../options.ts'

interface Options {
  queue: string
  shared: string
  threads?: number | undefined
}

/** `reallm worker --queue URL --shared DIR` */
export const workerCommand = (io: Io): Command =>
  new Command('worker')
    .description(
      'Encode matrices for `reallm compress --queue` on other machines, until stopped with Ctrl-C.',
    )
    .requiredOption('--queue <url>', 'Redis that the jobs come from, like redis://host:6379')
    .requiredOption('--shared <dir>', 'directory that all machines see; matrices go through it')
    .option('--threads <number>', 'matrices at a time (default: one per core)', parseWhole(0))
    .addHelpText(
      'after',
      `
Examples:
  $ reallm worker --queue redis://10.0.0.1:6379 --shared /mnt/shared         on as many machines as you like
  $ reallm compress model.gguf -o out -b 3 --queue redis://10.0.0.1:6379 --shared /mnt/shared

The queue takes npm packages of its own: npm install bullmq ioredis. Workers trust who can write to Redis and to the shared
directory: keep both inside your network. The same version of Node everywhere gives the same bytes as one machine.
`,
    )
    .action(async ({ queue, shared, threads }: Options) => {
      const { serveQueue } = await import('@reallm/pipeline/queue')
      io.err(`reallm: waiting for matrices on ${queue}\n`)
      await serveQueue({
        ...{ url: queue, shared, signal: io.signal },
        threads,
        onProgress: ({ name }) => io.err(`${name}\n`),
      })
    })
