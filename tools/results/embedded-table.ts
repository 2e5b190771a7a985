import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './schema.ts'

interface Figure {
  readonly rate: number
  readonly bytes: number
  readonly bitsPerWeight: number
  readonly perplexity: number
  readonly kl: number
  readonly top1: number
}

/** The embedded model at the rates of the home page, as `docs/models/make.ts` measured it. */
export function embeddedTable(): string {
  const path = join(root, 'docs', 'public', 'models', 'figures.json')
  const { protocol, effort, figures } = JSON.parse(readFileSync(path, 'utf8')) as {
    protocol: string
    effort: string
    figures: Figure[]
  }
  const falling = figures.toSorted((a, b) => b.rate - a.rate)
  const [original] = falling
  const rows = falling.map(figure => [
    figure === original ? 'original (bf16)' : `${figure.rate} bits`,
    (figure.bytes / 1e6).toFixed(2),
    figure.bitsPerWeight.toFixed(2),
    figure.perplexity.toFixed(2),
    figure === original ? '0' : figure.kl.toFixed(4),
    (100 * figure.top1).toFixed(1),
  ])
  const heading = ['', 'MB', 'bits per weight', 'perplexity', 'KL, nats/token', 'same top token, %']
  const lines = [heading, ['---', ...heading.slice(1).map(() => '--:')], ...rows]
  const table = lines.map(line => `| ${line.join(' | ')} |`).join('\n')
  return `${table}\n\n${protocol[0].toUpperCase()}${protocol.slice(1)}; effort \`${effort}\`, seed 0.`
}
