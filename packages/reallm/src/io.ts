import { durationText, type OnProgress } from '@reallm/tensor-io'

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
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal
  /** Set by --verbose: errors come with their stacks. */
  verbose: boolean
}

/** Prints a result: as one JSON value with `--json`, else as text. */
export function print(
  io: Io,
  options: { json?: boolean | undefined },
  value: unknown,
  text: () => string,
): void {
  io.out(options.json ? `${JSON.stringify(value)}\n` : text())
}

/**
 * Progress on stderr: one line that is redrawn on a terminal, a line every ten seconds otherwise. Call `end()`
 * before printing anything else.
 */
export function progressOn(io: Io): { onProgress: OnProgress; end(): void } {
  const started = Date.now()
  let last = 0
  let open = false
  const end = () => {
    if (open) io.err('\r\x1b[2K')
    open = false
  }
  return {
    onProgress({ event, message, name, done, total, eta }) {
      if (event === 'warning') {
        end()
        io.err(`warning: ${message}\n`)
        return
      }
      const now = Date.now()
      if (now - last < (io.isTty ? 100 : 10_000) && done < total) return
      if (!io.isTty && now - last < 2000) return
      last = now
      const share = total > 0 ? `${Math.min(100, (100 * done) / total).toFixed(0)}%` : ''
      const left = eta ?? (done > 0 && total > 0 ? ((now - started) / 1000) * (total / done - 1) : undefined)
      const line = [
        share.padStart(4),
        label(event),
        name,
        left !== undefined && left > 1 ? `${durationText(left)} left` : '',
      ]
        .filter(Boolean)
        .join('  ')
      open = io.isTty
      io.err(io.isTty ? `\r\x1b[2K${line.slice(0, 110)}` : `${line}\n`)
    },
    end,
  }
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
  `stopped after ${tokens} tokens: prompt and text fill the model's context of ${positions}\n`

/** Columns padded to their widest cell; numbers to the right. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
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
