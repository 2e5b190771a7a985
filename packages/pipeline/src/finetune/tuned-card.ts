import { bytesText, counted } from '@reallm/tensor-io'
import { frontMatter, type Origin } from '../output/origin.ts'
import type { TuneOptions, TuneReport } from './finetune.ts'

/** The README.md of a fine-tuned artifact of so many bytes, and of so many weights before training. */
export function tunedCard(
  title: string,
  origin: Origin,
  report: TuneReport,
  options: TuneOptions & { readonly bytes: number; readonly parameters: number },
): string {
  const size = `${bytesText(options.bytes)}, ${((8 * options.bytes) / options.parameters).toFixed(2)} bits per weight`
  return `${frontMatter(origin, 'reallm', ['fine-tuned'])}

# ${title}

\`${origin.base}\`, fine-tuned on \`${report.data}\` in ${counted(report.steps, 'step')}: low-rank parts of rank ${options.rank ?? 8}, stored in
${options.factorBits ?? 8} bits an entry.${gainText(report, options)} In all: ${size}.

\`\`\`sh
npx reallm generate . -p "Once upon a time"
\`\`\`
`
}

/** The README.md of an adapter of a model that is not compressed. */
export const adapterCard = (
  title: string,
  origin: Origin,
  report: TuneReport,
  options: TuneOptions,
): string => `${frontMatter(origin, 'peft', ['lora'])}

# ${title}, an adapter of ${origin.base}

Trained on \`${report.data}\` in ${counted(report.steps, 'step')}: rank ${options.rank ?? 8}, in PEFT's layout.${gainText(report, options)}

\`\`\`sh
npx reallm generate ${origin.spec} --adapter . -p "Once upon a time"
\`\`\`
`

function gainText({ before, after }: TuneReport, { teacher }: TuneOptions): string {
  if (before === undefined || after === undefined) return ''
  const loss = teacher === undefined ? 'Loss' : 'KL divergence to the original'
  return ` ${loss} on the part kept from training: ${before.toFixed(4)} → ${after.toFixed(4)} nats per token.`
}
