import type { LongWork, ProgressEvent } from '@reallm/tensor-io'

/** One stage of long work: its part of the time, in any unit, and the events whose `done` of `total` measure it. */
export interface Stage {
  readonly share: number
  readonly events: readonly string[]
}

/**
 * The stages of a compression, by the percent of the time that each takes of one that does not train: for the estimate of
 * what is left. Training has the original's predictions first.
 */
export const compressStages = (trains: boolean) =>
  ({
    open: { share: 3, events: ['weights-read'] },
    measure: { share: 30, events: ['calibration-end'] },
    quantise: { share: 55, events: ['matrix-end', 'layer-end'] },
    teach: { share: trains ? 20 : 0, events: ['teacher-end'] },
    tune: { share: trains ? 80 : 0, events: ['step-end'] },
    evaluate: { share: 12, events: ['block-end'] },
  }) satisfies Record<string, Stage>

/**
 * The stages of fine-tuning, by the sequences that each reads forwards; training reads them backwards too, which counts
 * twice.
 */
export const finetuneStages = ({ steps = 200, rows = 4, passes = 1, teacher, blockwise }: FinetuneWork) => {
  const { steps: blockSteps = 100, rows: blockRows = 4 } = typeof blockwise === 'object' ? blockwise : {}
  return {
    read: { share: 1, events: ['data-read'] },
    blocks: { share: blockwise ? 3 * blockSteps * blockRows : 0, events: ['block-end'] },
    teach: { share: teacher === undefined ? 0 : (steps * rows) / passes, events: ['teacher-end'] },
    train: { share: 3 * steps * rows, events: ['step-end'] },
  } satisfies Record<string, Stage>
}

/** What decides how long each stage of fine-tuning takes. */
interface FinetuneWork {
  readonly steps?: number | undefined
  readonly rows?: number | undefined
  readonly passes?: number | undefined
  readonly teacher?: string | undefined
  readonly blockwise?:
    | boolean
    | { readonly steps?: number | undefined; readonly rows?: number | undefined }
    | undefined
}

/** The stages of an evaluation, by the percent of the time that each takes where all are asked for. */
export const evaluateStages = ({
  layers,
  generation,
}: {
  layers?: boolean | undefined
  generation?: boolean | undefined
}) =>
  ({
    read: { share: 5, events: ['weights-read'] },
    predict: { share: 55, events: ['window-end', 'block-end'] },
    layers: { share: layers ? 20 : 0, events: ['layer-end'] },
    generate: { share: generation ? 20 : 0, events: ['continuation-end'] },
  }) satisfies Record<string, Stage>

/** Long work that runs through stages, one after another. */
export interface Stages<Name extends string> {
  /** The work of a stage: its events say how far the whole is. Whatever of earlier stages was not done counts as done. */
  work(name: Name): LongWork
}

/**
 * Makes one progress of several: `overall` of each event has the share of all stages that is done, never less than
 * before, and the seconds left, at the speed since the first event.
 */
export function inStages<Name extends string>(
  stages: Readonly<Record<Name, Stage>>,
  { signal, onProgress }: LongWork,
  now: () => number = () => performance.now() / 1000,
): Stages<Name> {
  const names = Object.keys(stages) as Name[]
  const all = names.reduce((sum, name) => sum + stages[name].share, 0)
  const before = (name: Name) =>
    names.slice(0, names.indexOf(name)).reduce((sum, earlier) => sum + stages[earlier].share, 0)
  let share = 0
  let first: { readonly at: number; readonly share: number } | undefined

  function overall(name: Name, { event, done, total }: ProgressEvent): ProgressEvent['overall'] {
    const { share: own, events } = stages[name]
    const part = events.includes(event) && total > 0 ? Math.min(1, done / total) : 0
    share = Math.max(share, (before(name) + own * part) / all)
    first ??= { at: now(), share }
    const rate = (share - first.share) / (now() - first.at)
    return rate > 0 ? { share, eta: (1 - share) / rate } : { share }
  }
  return {
    work: name => ({
      signal,
      onProgress: onProgress && (event => onProgress({ ...event, overall: overall(name, event) })),
    }),
  }
}

/** Makes one progress of stages that follow one another, each known by its events; others belong to the stage before. */
export function staged(
  stages: Readonly<Record<string, Stage>>,
  work: LongWork,
  now?: () => number,
): LongWork {
  const { work: workOf } = inStages(stages, work, now)
  const names = Object.keys(stages)
  let stage = names[0]
  const onProgress = (event: ProgressEvent) => {
    stage = names.find(name => stages[name].events.includes(event.event)) ?? stage
    workOf(stage).onProgress?.(event)
  }
  return { signal: work.signal, onProgress: work.onProgress && onProgress }
}
