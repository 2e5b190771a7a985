/** Starts at most `most` of what it is given at a time, in the order in which it is given. */
export function limited(most: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <T>(start: () => Promise<T>): Promise<T> => {
    if (running < most) running++
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await start()
    } finally {
      // Whoever waits takes the place over.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
