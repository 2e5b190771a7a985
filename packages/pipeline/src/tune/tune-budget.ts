import { ReallmError } from '@reallm/tensor-io'

/** How long to train what is continuous: minutes, from which a number of steps is made once, or the steps themselves. */
export type TuneBudget = { readonly minutes: number } | { readonly steps: number }

/** A training in words: what decides about its bytes. */
export const tuneText = (budget: TuneBudget): string =>
  'steps' in budget ? `${budget.steps} steps` : `${budget.minutes} minutes`

/** Throws `bad-option` unless there is something to do. */
export function checkTuneBudget(budget: TuneBudget): void {
  const isPossible =
    'steps' in budget ? Number.isInteger(budget.steps) && budget.steps > 0 : budget.minutes > 0
  if (isPossible) return
  throw new ReallmError('bad-option', `training cannot take ${tuneText(budget)}`, {
    hint: 'give minutes over 0, or a whole number of steps',
  })
}
