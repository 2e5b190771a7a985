import { bytesText, counted } from '@reallm/tensor-io'
import { frontMatter, type Origin } from '../output/origin.ts'

/** What a card tells of a training. */
export interface Training {
  /** Name of the text. */
  readonly data: string
  readonly steps: number
  /** Loss on the part kept from training, nats per token. */
  readonly before?: number | undefined
  readonly after?: number | undefined
  /** Whether that loss is the divergence from an original. */
  readonly isDivergence: boolean
  /** Absent where matrices differ in it. */
  readonly rank?: number | undefined
}

/** The README.md of a fine-tuned artifact of so many bytes, whose model has so many weights. */
export function tunedCard(
  title: string,
  origin: Origin,
  training: Training,
  { bytes, parameters, factorBits }: Record<'bytes' | 'parameters' | 'factorBits', number>,
): string {
  const size = `${bytesText(bytes)}, ${((8 * bytes) / parameters).toFixed(2)} bits per weight`
  return `${frontMatter(origin, 'reallm', ['fine-tuned'])}

# ${title}

\`${origin.base}\`, fine-tuned on \`${training.data}\` in ${counted(training.steps, 'step')}: low-rank parts${rankText(training)}, stored in
${factorBits} bits an entry.${gainText(training)} In all: ${size}.

\`\`\`sh
npx reallm generate . -p "Once upon a time"
\`\`\`
`
}

/** The README.md of an adapter of a model that is not compressed. */
export const adapterCard = (title: string, origin: Origin, training: Training): string => `\
${frontMatter(origin, 'peft', ['lora'])}

# ${title}, an adapter of ${origin.base}

Trained on \`${training.data}\` in ${counted(training.steps, 'step')}: an adapter${rankText(training)} in PEFT's layout.${gainText(training)}

\`\`\`sh
npx reallm generate ${origin.spec} --adapter . -p "Once upon a time"
\`\`\`
`

const rankText = ({ rank }: Training): string => (rank === undefined ? '' : ` of rank ${rank}`)

function gainText({ before, after, isDivergence }: Training): string {
  if (before === undefined || after === undefined) return ''
  const loss = isDivergence ? 'KL divergence to the original' : 'Loss'
  return ` ${loss} on the part kept from training: ${before.toFixed(4)} → ${after.toFixed(4)} nats per token.`
}
