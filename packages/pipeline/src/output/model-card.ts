import { counted } from '@reallm/tensor-io'
import { frontMatter, type Origin } from './origin.ts'
import type { CompressReport, TuningReport } from './report.ts'

/**
 * The artifact's README.md: what it is, what was measured, how to run it. Holds nothing that differs between two
 * runs with the same seed (times and memory are in the report).
 */
export function modelCard(report: CompressReport, origin: Origin, name: string): string {
  const { size, quality, tuning } = report
  const mb = (bytes: number) => (bytes / 1e6).toFixed(2)
  const rows = quality && [
    ['', 'original', 'compressed'],
    ['---', '---', '---'],
    ['weight files, MB', mb(size.originalBytes), mb(size.bytes)],
    ...(quality.random
      ? []
      : [['perplexity', quality.original.perplexity.toFixed(3), quality.compressed.perplexity.toFixed(3)]]),
    ['KL divergence to the original, nats per token', '0', quality.compressed.kl.toFixed(4)],
    ['same most likely token', '100 %', `${(100 * quality.compressed.top1).toFixed(1)} %`],
  ]
  return `${frontMatter(origin, 'reallm', ['compressed'])}

# ${name}, ${size.bitsPerWeight.toFixed(2)} bits per weight

\`${origin.base}\` compressed with the recipe \`${report.recipe}\` (seed ${report.seed}) to ${mb(size.bytes)} MB:
${size.bitsPerWeight.toFixed(3)} bits for each of ${size.parameters.toLocaleString('en')} weights, with embeddings,
norms and file headers counted.

${rows ? `${rows.map(row => `| ${row.join(' | ')} |`).join('\n')}\n\nMeasured on ${quality.protocol}.\n` : ''}
Calibration: ${report.calibration}.${tuning ? ` ${tuningText(tuning)}` : ''}

## Run it

\`\`\`sh
npx reallm generate . -p "Once upon a time"
\`\`\`

What each matrix is stored as is in \`reallm-report.json\`, with plots in \`reallm-report.html\`.
`
}

const tuningText = ({ steps, before, after }: TuningReport) =>
  `After rounding, row factors and norms were trained for ${counted(steps, 'step')} on the original's predictions: KL divergence on the part of this text kept from training ${before.toFixed(4)} → ${after.toFixed(4)} nats per token.`
