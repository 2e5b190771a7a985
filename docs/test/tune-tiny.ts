import { finetuneArtifact } from '@reallm/finetune'
import type { ModelWeights } from '@reallm/transformer'

/** A few short steps of fine-tuning a compressed model on the predictions of the original: the losses. */
export async function tuneTiny(model: ModelWeights, teacher: ModelWeights, contents: string) {
  const losses: number[] = []
  await finetuneArtifact({
    ...{ model, teacher, data: { name: 'text', contents: contents.slice(0, 160) } },
    ...{ steps: 2, rows: 1, length: 8, validation: 0, rank: 4, norms: true, learningRate: 4e-3 },
    onProgress: ({ event, error }) => {
      if (event === 'step-end') losses.push(error!)
    },
  })
  return losses
}
