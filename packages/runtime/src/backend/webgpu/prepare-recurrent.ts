import type { Prepared, WordList } from './build.ts'
import type { RecurrentStage } from './stage.ts'

/** The dispatch of a kernel of a recurrent layer. */
export function prepareRecurrent(stage: RecurrentStage, args: WordList): Prepared {
  const { name, code, layer, words, workgroups } = stage
  const at = args.add(words)
  return {
    ...{ code, name, stage, needsState: true, workgroups: () => [workgroups, 1, 1] },
    bind: (b, { buffers }) => [
      [0, b.run],
      [1, b.args, 4 * at, 4 * 64],
      [2, b.constants],
      [3, b.activations],
      [4, buffers[layer]],
    ],
  }
}
