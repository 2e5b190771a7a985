import { overlayStore } from '../overlay-store.ts'
import type { TensorStore } from '../store.ts'
import { schemeOf } from './scheme-of.ts'

/**
 * A store in which weights that another tool quantised read decoded, and what the checkpoint is; undefined where the
 * configuration calls nothing quantised, or not in a way that is read here.
 *
 * @throws `bad-file` naming a tensor that is missing or misshapen
 */
export function openQuantised(
  where: string,
  config: Readonly<Record<string, unknown>>,
  store: TensorStore,
): { readonly store: TensorStore; readonly quantised: string } | undefined {
  const scheme = schemeOf(config)
  if (scheme === undefined || 'reason' in scheme) return undefined
  const decoded = scheme.decoded(where, store)
  if (decoded.size === 0) return undefined
  return { store: overlayStore(where, store, decoded), quantised: scheme.description }
}
