/** An object that notes which of its keys are read. */
export interface Recorded<T extends object> {
  /** Reads as the object itself. */
  readonly source: T
  /** Keys of it that nobody has read so far. */
  unread(): string[]
}

/**
 * Notes what is read of a configuration, so that what nothing understood can be gone through afterwards without a second
 * list of what every family knows.
 */
export function recorded<T extends object>(source: T): Recorded<T> {
  const read = new Set<string | symbol>()
  return {
    source: new Proxy(source, {
      get(target, key) {
        read.add(key)
        return Reflect.get(target, key)
      },
    }),
    unread: () => Object.keys(source).filter(key => !read.has(key)),
  }
}
