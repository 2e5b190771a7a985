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
    .requiredOption('--shared <place>', 'directory that all machines see, or s3://bucket/prefix')
    .option(
      '--threads <number>',
      'matrices at a time; 0 works in the main thread (default: one per core)',
      parseWhole(0),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ reallm worker --queue redis://10.0.0.1:6379 --shared /mnt/shared         on as many machines as you like
  $ reallm compress model.gguf -o out -b 3 --queue redis://10.0.0.1:6379 --shared /mnt/shared

The queue takes npm packages of its own: npm install bullmq ioredis, and @aws-sdk/client-s3 for s3://, which finds its address
and keys in AWS_ENDPOINT_URL, AWS_REGION and so on. Workers trust whoever can write to Redis and to the shared place: keep both inside
your network. Only runs of the same release and the same Node find this worker, so that the bytes are those of one machine.
`,
    )
    .action(async ({ queue, shared, threads }: Options) => {
      const { serveQueue } = await import('@reallm/pipeline/queue')
      io.err(`reallm: waiting for matrices, by way of ${shared}\n`)
      await serveQueue({
        ...{ url: queue, shared, signal: io.signal },
        threads,
        onProgress: ({ name, message }) => io.err(`${message ?? name}\n`),
      })
    })
