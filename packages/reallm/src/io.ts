import { counted, durationText, type LongWork, type OnProgress, type ProgressEvent } from '@reallm/tensor-io'
import { fitted } from './fitted.ts'

/** What a command sees of the world around it; tests hand in their own. */
export interface Io {
  /** Writes to stdout: results only. */
  out(text: string): void
  /** Writes to stderr: progress, messages, errors. */
  err(text: string): void
  /** Everything on stdin. */
  stdin(): Promise<string>
  /** Lines of stdin as they are typed. */
  lines(): AsyncIterable<string>
  /** True when stderr is a terminal that lines can be redrawn on. */
  readonly isTty: boolean
  /** Width of that terminal in characters; default 80. */
  readonly columns?: number | undefined
  /** Width of the terminal that stdout is, in characters. */
  readonly outColumns?: number | undefined
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal
  /** Set by --verbose: errors come with their stacks. */
  verbose: boolean
  /** Set by --quiet: no progress. */
  quiet?: boolean | undefined
}

/** Prints a result: as one JSON value with `--json`, else as text. */
export function print(
  io: Io,
  options: { json?: boolean | undefined },
  value: unknown,
  text: () => string,
): void {
  io.out(options.json ? `${JSON.stringify(value)}\n` : fitted(text(), io.outColumns))
}

/**
 * Progress on stderr: one line that is redrawn on a terminal, a line every ten seconds otherwise. Call `end()`
 * before printing anything else.
 */
export function progressOn(io: Io): { onProgress: OnProgress; end(): void } {
  const started = Date.now()
  let last = 0
  let open = false
  const warned = new Set<string | undefined>()
  const end = () => {
    if (open) io.err('\r\x1b[2K')
    open = false
  }
  return {
    onProgress(event) {
      if (event.event === 'warning') {
        if (warned.has(event.message)) return
        warned.add(event.message)
        end()
        io.err(`warning: ${event.message}\n`)
        return
      }
      if (io.quiet) return
      const now = Date.now()
      if (now - last < (io.isTty ? 100 : 10_000) && event.done < event.total) return
      if (!io.isTty && now - last < 2000) return
      last = now
      const line = progressLine(event, (now - started) / 1000, io)
      open = io.isTty
      io.err(io.isTty ? `\r\x1b[2K${line}` : `${line}\n`)
    },
    end,
  }
}

/** Prints texts as they come, with progress between them, and `after` behind each. */
export async function printTexts(
  io: Io,
  texts: (work: LongWork) => AsyncIterable<string>,
  after = '',
): Promise<void> {
  const { onProgress, end } = progressOn(io)
  try {
    for await (const text of texts({ signal: io.signal, onProgress })) {
      end()
      io.out(text + after)
    }
  } finally {
    end()
  }
}

/** Below so many columns the bar is half as long. */
const NARROW = 60

/** Columns of the last line that stay free: for the cursor, and the `^C` that a terminal shows. */
const FREE = 3

/** How far the work is in all, what is left of it, and what is done at present: as much of it as fits. */
function progressLine(
  { event, name, done, total, eta, overall }: ProgressEvent,
  seconds: number,
  { isTty, columns = 80 }: Pick<Io, 'isTty' | 'columns'>,
) {
  const share = overall ? overall.share : total > 0 ? Math.min(1, done / total) : undefined
  const left = overall ? overall.eta : (eta ?? (share ? seconds * (1 / share - 1) : undefined))
  const length = columns < NARROW ? 8 : 16
  const full = Math.round(length * (share ?? 0))
  const shown = [
    isTty && share !== undefined ? '█'.repeat(full) + '░'.repeat(length - full) : '',
    share === undefined ? '' : `${(100 * share).toFixed(0)}%`.padStart(4),
    left !== undefined && left > 1 ? `${durationText(left)} left` : '',
    name?.startsWith(label(event)) ? '' : label(event),
  ]
  const before = shown.filter(Boolean).join('  ')
  const line = [before, name].filter(Boolean).join('  ')
  const room = columns - FREE
  if (!isTty || name === undefined || line.length <= room) return isTty ? line.slice(0, room) : line
  // the end of a name tells matrices apart
  const end = room - before.length - '  …'.length
  return end > 0 ? `${before}  …${name.slice(-end)}` : before.slice(0, room)
}

/** Warnings alone, on stderr: for commands whose result comes as it is made. */
export const warningsOn = (io: Io): OnProgress => {
  const { onProgress } = progressOn(io)
  return event => {
    if (event.event === 'warning') onProgress(event)
  }
}

const label = (event: string): string => event.replace(/-(start|end)$/, '').replaceAll('-', ' ')

/** Why a text is shorter than was asked for. */
export const contextFull = (tokens: number, positions: number): string =>
  `stopped after ${counted(tokens, 'token')}: prompt and text fill the model's context of ${positions}\n`

/** Columns padded to their widest cell; numbers to the right. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => rows.reduce((widest, row) => Math.max(widest, row[c].length), 0))
  const numeric = rows[0].map((_, c) => rows.slice(1).every(row => /^[-−]?[\d.,∞]|^$|^–$/.test(row[c])))
  return rows
    .map(row =>
      row
        .map((cell, c) => (numeric[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
    .concat('\n')
}
