interface Closable {
  close(): Promise<void>
}

/** Hands on a resource, to be closed when the work is over. */
export type Own = <R extends Closable>(resource: R) => R

/** Runs `work` and closes what it owns, the last first, however it ends. */
export async function scoped<T>(work: (own: Own) => Promise<T>): Promise<T> {
  const owned: Closable[] = []
  try {
    return await work(resource => {
      owned.push(resource)
      return resource
    })
  } finally {
    for (const resource of owned.reverse()) await resource.close()
  }
}
