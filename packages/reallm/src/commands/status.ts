import { durationText } from '@reallm/tensor-io'
import { Command } from 'commander'
import { type Io, print, table } from '../io.ts'

interface Options {
  queue: string
  json?: boolean | undefined
}

/** `reallm status --queue URL` */
export const statusCommand = (io: Io): Command =>
  new Command('status')
    .description('Show the runs, workers and matrices of a queue: how far, how much longer, who works.')
    .requiredOption('--queue <url>', 'Redis of `reallm compress --queue`, like redis://host:6379')
    .option('--json', '{"version":…, "runs":[…], "queues":[…]} on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm status --queue redis://10.0.0.1:6379
  $ reallm status --queue redis://10.0.0.1:6379 --json

A run uses only workers of its own version: another release, Node or kind of processor could give other bytes.
`,
    )
    .action(async (options: Options) => {
      const { queueStatus } = await import('@reallm/pipeline/queue')
      const status = await queueStatus(options.queue)
      print(io, options, status, () => {
        const runs = status.runs.map(run => [
          `${run.host} ${run.process}`,
          run.share === undefined ? '–' : `${(100 * run.share).toFixed(0)} %`,
          run.eta === undefined ? '–' : durationText(run.eta),
          String(run.waiting),
          String(run.answered),
          run.at ?? '',
        ])
        const queues = status.queues.map(({ version, workers, waiting, active }) => [
          version,
          String(workers.length),
          String(active),
          String(waiting),
          workers.join(' '),
        ])
        const runsTable = table([['run', 'done', 'left', 'with workers', 'back', 'at'], ...runs])
        const queuesTable = table([['version', 'workers', 'at work', 'waiting', 'names'], ...queues])
        return [
          runs.length > 0 ? runsTable : 'no runs\n',
          queues.length > 0 ? queuesTable : 'no workers\n',
        ].join('\n')
      })
    })
