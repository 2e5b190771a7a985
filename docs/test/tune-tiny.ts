import { finetuneArtifact } from '@reallm/finetune'
import type { ModelWeights } from '@reallm/transformer'

/** A few short steps of fine-tuning a compressed model on the predictions of the original: losses of the steps, and before and after. */
export async function tuneTiny(model: ModelWeights, teacher: ModelWeights, contents: string) {
  const losses: number[] = []
  const { before, after } = await finetuneArtifact({
    ...{ model, teacher, data: { name: 'text', contents: contents.slice(0, 700) } },
    ...{ steps: 3, rows: 1, length: 32, validation: 0.2, rank: 4, norms: true, learningRate: 4e-3 },
    onProgress: ({ event, error }) => {
      if (event === 'step-end') losses.push(error!)
    },
  })
  return { losses, before: before!, after: after! }
}
