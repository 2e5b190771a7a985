/** See {@link recentlyUsed}. */
export interface RecentlyUsed<K, V> {
  has(key: K): boolean
  /** Counts as use. */
  get(key: K): V | undefined
  set(key: K, value: V): void
}

/** A map that forgets what was not used for longest when it holds more than `most` entries. */
export function recentlyUsed<K, V>(most: number): RecentlyUsed<K, V> {
  const entries = new Map<K, V>()
  return {
    has: key => entries.has(key),
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      for (const oldest of entries.keys()) {
        if (entries.size <= most) return
        entries.delete(oldest)
      }
    },
  }
}
