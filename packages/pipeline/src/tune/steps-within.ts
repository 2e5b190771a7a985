import { type EndToEndOptions, sequencesSeen, tuneEndToEnd } from '@reallm/finetune'
import { type ProgressEvent, ReallmError } from '@reallm/tensor-io'

/** Steps that are timed, after one that is not. */
const TIMED = 3
/** Passes of the original and of the model over all validation sequences, besides the steps, in units of one sequence. */
const VALIDATIONS = 7

/**
 * The steps of `job` that fit in `seconds` at the pace of a few, which change nothing of it: each with the original's
 * predictions for its sequences.
 *
 * @throws `bad-option` when not one fits
 */
export async function stepsWithin(seconds: number, job: EndToEndOptions): Promise<number> {
  const started = performance.now()
  const at: Record<string, number[]> = {}
  const trial = { ...job, steps: TIMED + 1, work: undefined }
  const { train, validation } = job.sequences
  await tuneEndToEnd({
    ...trial,
    sequences: { train: train.slice(0, Math.max(2, sequencesSeen(trial))), validation: [] },
    onProgress({ event }: ProgressEvent) {
      at[event] ??= []
      at[event].push(performance.now() / 1000)
    },
  })
  const pace = ([first, ...rest]: readonly number[]) => (rest.at(-1)! - first) / rest.length
  const [forward, step] = [pace(at['teacher-end']), pace(at['step-end'])]
  const each = step + (forward * (job.accumulate ?? 1)) / (job.passes ?? 1)
  const left = seconds - (performance.now() - started) / 1000 - VALIDATIONS * forward * validation.length
  const steps = Math.floor(left / each)
  if (steps >= 1) return steps
  throw new ReallmError('bad-option', `training for ${(seconds / 60).toFixed(1)} minutes is too short`, {
    hint: `a step takes ${each.toFixed(1)} seconds here; give more minutes, or leave --tune away`,
  })
}
