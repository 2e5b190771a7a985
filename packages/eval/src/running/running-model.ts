import type { Model, Session } from '@reallm/runtime'
import type { WeightSource } from '@reallm/transformer'

/** What a session does for an evaluation. */
export type RunningSession = Pick<Session, 'feed' | 'logits' | 'draw' | 'resume' | 'truncate' | 'dispose'>

/** What `load` of `@reallm/runtime` returns. */
export interface RunningModel extends Pick<Model, 'config' | 'eos'> {
  session(): RunningSession
}

export const isRunning = (model: WeightSource | RunningModel): model is RunningModel => 'session' in model
