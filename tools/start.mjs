// The first thing a stranger sees: the embedded model at 3 and at 2 bits per weight. Prints measured numbers only.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = mkdtempSync(join(tmpdir(), 'reallm-start-'))
const model = 'npm:@reallm/tiny'
const heldOut = join(root, 'packages', 'tiny', 'model', 'held-out.txt')
const prompt = 'The ship'

/** Runs one command of the command line in a process of its own, so that its peak memory is its own. */
function reallm(...args) {
  const command = [join(root, 'packages', 'reallm', 'bin', 'reallm.js'), ...args]
  const result = spawnSync(process.execPath, command, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (result.status !== 0) {
    console.error(`\nnpm start: reallm ${args.join(' ')} failed with code ${result.status}`)
    process.exit(1)
  }
  return JSON.parse(result.stdout)
}

const measure = (spec, ...more) =>
  reallm('eval', spec, '--text', heldOut, '--ctx', '256', '--windows', '40', '--json', ...more)
const talk = spec =>
  reallm('generate', spec, '-p', prompt, '-n', '24', '--temperature', '0.6', '--seed', '1', '--json').text

/** Columns padded to their widest cell, numbers to the right. */
function table(rows) {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows
    .map(row =>
      row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('  '),
    )
    .join('\n')
}

try {
  const started = Date.now()
  console.log(
    `Compressing the embedded model (${model}) at 3 and at 2 bits per weight, everything counted …\n`,
  )
  const rows = []
  const sentences = []
  for (const bits of [undefined, 3, 2]) {
    const spec = bits === undefined ? model : join(folder, `tiny-${bits}`)
    let report
    if (bits !== undefined) {
      const size = ['-b', String(bits), '--effort', 'fast', '--no-eval', '--json']
      reallm('compress', model, '-o', spec, ...size)
      report = JSON.parse(readFileSync(join(spec, 'reallm-report.json'), 'utf8'))
    }
    const { perplexity, kl, bytes } = measure(spec, ...(report ? ['--against', model] : []))
    const name = bits === undefined ? 'original (bf16)' : `${bits} bits`
    const bitsPerWeight = report?.size.bitsPerWeight ?? reallm('inspect', spec, '--json').bitsPerWeight
    const { seconds, peakMemory } = report ?? {}
    rows.push({ name, bytes, bitsPerWeight, perplexity, kl, seconds, peakMemory })
    sentences.push(`${name.padEnd(15)}  ${JSON.stringify(prompt + talk(spec))}`)
  }
  const heading = ['', 'MB', 'bits/weight', 'perplexity', 'KL', 'seconds', 'peak MB']
  const lines = rows.map(row => [
    row.name,
    (row.bytes / 1e6).toFixed(2),
    row.bitsPerWeight.toFixed(2),
    row.perplexity.toFixed(2),
    row.kl?.toFixed(4) ?? '',
    row.seconds?.toFixed(1) ?? '',
    row.peakMemory ? (row.peakMemory / 1e6).toFixed(0) : '',
  ])
  console.log(`\n${table([heading, ...lines])}\n\n${sentences.join('\n')}`)
  console.log(
    '\nPerplexity and KL divergence (nats per token): 40 windows of 256 tokens kept from training, second half of each scored.',
  )
  console.log(`${((Date.now() - started) / 1000).toFixed(0)} seconds. Next: npx reallm --help`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
