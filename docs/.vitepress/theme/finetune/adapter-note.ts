/** The model that an adapter was trained for. */
export interface TunedBase {
  readonly name: string
  /** Commands that make it, where it is not a file of the visitor's. */
  readonly made?: string | undefined
}

export interface TunedWith {
  readonly steps: number
  readonly learningRate: number
  readonly rank: number
  /** Validation loss, nats per token. */
  readonly before: number
  readonly after: number
}

/** What an adapter is and how it is used, as the README.md beside it. */
export const adapterNote = (
  base: TunedBase,
  { steps, learningRate, rank, before, after }: TunedWith,
): string => `\
---
library_name: peft
base_model: ${base.name}
tags: [reallm, lora]
---

# An adapter of ${base.name}

${steps} steps at a learning rate of ${learningRate}, rank ${rank}. Loss on the part of the text that was kept from training:
${before.toFixed(3)} → ${after.toFixed(3)} nats per token.

\`\`\`sh
${base.made ? `${base.made}\n` : ''}npx reallm generate ${base.name} --adapter . -p "Once upon a time"
\`\`\`

In a page: \`await model.useAdapter(url)\` of \`@reallm/runtime\`. Python's PEFT reads these files too.
`
