// One operation at a time, shared by all threads: its arguments and two counters lie at fixed addresses.
// Every thread runs the same `execute` on its share of rows, so results do not depend on the number of threads.
//
// What keeps it free of races:
// - Only the main thread writes OPERATION, ARGUMENTS and SEQUENCE, and only while all helpers are idle: `announce` adds
//   to SEQUENCE after everything else is written, and `join` does not return before every FINISHED is equal to it.
//   Helpers read between the two; the atomics order the plain stores on both sides.
// - No wake-up is lost: `wait` compares the counter that was read before with what is there, and both counters change
//   before their `notify`. A helper that starts late finds SEQUENCE ahead of its 0 and goes to work.
// - SEQUENCE wraps at 2^32 and is only ever compared for equality, with at most one operation under way.
// - The memory grows only between operations, on the main thread. Engines may tell other threads of it late, and then
//   `memory.fill` and `memory.copy`, which check the length that their thread knows, could trap there (a precaution:
//   it was not seen to happen). So operations that helpers run use neither.

const SEQUENCE: usize = 1024
const OPERATION: usize = 1088
const ARGUMENTS: usize = 1152
/** Number of the last operation that each helper has finished, a cache line apart; room for 32 threads. */
const FINISHED: usize = 2048
/** Turns a waiting thread takes before it sleeps: more than pass between two operations of one token. To wake it takes longer than most do. */
const SPINS: i32 = 100000

let threads: i32 = 1
let mayWait: bool = false

/** Tells the main thread how many take part, itself included, and whether it may sleep (a page's main thread may not). */
export function setThreads(count: i32, canSleep: i32): void {
  threads = count
  mayWait = canSleep !== 0
}

// @ts-expect-error: decorator
@inline
export function put<T>(index: i32, value: T): void {
  store<T>(ARGUMENTS + (<usize>index << 2), value)
}

// @ts-expect-error: decorator
@inline
export function arg(index: i32): i32 {
  return load<i32>(ARGUMENTS + (<usize>index << 2))
}

// @ts-expect-error: decorator
@inline
export function floatArg(index: i32): f32 {
  return load<f32>(ARGUMENTS + (<usize>index << 2))
}

/** First unit of a share; the share ends where the next one starts. */
// @ts-expect-error: decorator
@inline
export function share(units: i32, part: i32, parts: i32): i32 {
  return <i32>((<i64>units * part) / parts)
}

/** Announces an operation to the other threads; returns how many shares there are. */
export function announce(operation: i32, work: i64): i32 {
  store<i32>(OPERATION, operation)
  if (threads === 1 || work < 50000) return 1
  atomic.add<i32>(SEQUENCE, 1)
  atomic.notify(SEQUENCE, threads - 1)
  return threads
}

/** Waits until the other threads have finished their shares. */
export function join(parts: i32): void {
  const sequence = atomic.load<i32>(SEQUENCE)
  for (let part = 1; part < parts; part++) {
    const at = FINISHED + (<usize>part << 6)
    for (let i = 0; ; i++) {
      const done = atomic.load<i32>(at)
      if (done === sequence) break
      if (mayWait && i > SPINS) atomic.wait<i32>(at, done, -1)
    }
  }
}

/** Starts to count operations anew; no helper is left of `parts` threads. */
export function forget(parts: i32): void {
  atomic.store<i32>(SEQUENCE, 0)
  for (let part = 1; part < parts; part++) atomic.store<i32>(FINISHED + (<usize>part << 6), 0)
}

export function currentOperation(): i32 {
  return load<i32>(OPERATION)
}

/** A helper thread's wait for the operation after number `seen`; returns its number. */
export function awaitOperation(seen: i32): i32 {
  for (let i = 0; i < SPINS; i++) {
    const now = atomic.load<i32>(SEQUENCE)
    if (now !== seen) return now
  }
  while (atomic.load<i32>(SEQUENCE) === seen) atomic.wait<i32>(SEQUENCE, seen, -1)
  return atomic.load<i32>(SEQUENCE)
}

/** Tells the main thread that helper `part` has finished operation number `sequence`. */
export function finished(part: i32, sequence: i32): void {
  const at = FINISHED + (<usize>part << 6)
  atomic.store<i32>(at, sequence)
  atomic.notify(at, 1)
}
