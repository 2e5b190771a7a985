// One operation at a time, cut into shares of its rows that threads take one after the other: its arguments and two counters lie
// at fixed addresses. Every share is computed the same whichever thread takes it, so results do not depend on their number, and
// a thread that the system interrupts leaves the others what it has not begun.
//
// What keeps it free of races:
// - Only the main thread writes OPERATION, PARTS and ARGUMENTS, and only while no share is under way: `announce` sets LEFT
//   after everything else is written, and `wait` does not return before DONE is the number of shares.
//   Helpers read the rest only behind a share that they have taken, and the operation is not over before that is done. So a
//   helper that comes late finds no share, or takes one of the operation that is under way by then.
// - No wake-up is lost: `atomic.wait` compares the counter that was read before with what is there, and both counters change
//   before their `notify`.
// - The memory grows only between operations, on the main thread. Engines may tell other threads of it late, and then
//   `memory.fill` and `memory.copy`, which check the length that their thread knows, could trap there (a precaution:
//   it was not seen to happen). So operations that helpers run use neither.

/** Shares that nobody has taken. */
const LEFT: usize = 1024
const OPERATION: usize = 1088
/** Shares in all. */
const PARTS: usize = 1092
const ARGUMENTS: usize = 1152
/** Shares that are done. */
const DONE: usize = 2048
/** Turns a waiting thread takes before it sleeps: more than pass between two operations of one token. To wake it takes longer than most do. */
const SPINS: i32 = 100000
/** Multiplications below which an operation is not worth a second thread, and those of a share that is worth taking by itself. */
const LEAST: i64 = 50000
const SHARE: i64 = 200000
/** Shares of a long operation for each thread, where beginning one costs little. */
export const MOST_SHARES: i32 = 8

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

/**
 * Begins an operation of `work` multiplications, cut into at most `most` shares for each thread, and returns the first share of
 * this thread; `next` those after it. −1 where all are done.
 */
export function first(operation: i32, work: i64, most: i32): i32 {
  store<i32>(OPERATION, operation)
  store<i32>(PARTS, 1)
  if (threads === 1 || work < LEAST) return 0
  announce(<i32>min(<i64>(threads * most), max(<i64>threads, work / SHARE)))
  return takeOrWait()
}

/** After a share of the main thread: its next one. */
export function next(): i32 {
  if (currentParts() === 1) return -1
  finished()
  return takeOrWait()
}

/** Lets each helper thread run `operation` once. */
export function tellHelpers(operation: i32): void {
  store<i32>(OPERATION, operation)
  announce(threads - 1)
  wait()
}

function announce(parts: i32): void {
  store<i32>(PARTS, parts)
  atomic.store<i32>(DONE, 0)
  atomic.store<i32>(LEFT, parts)
  atomic.notify(LEFT, threads - 1)
}

function takeOrWait(): i32 {
  const part = take()
  if (part < 0) wait()
  return part
}

/** Waits until all shares are done. */
function wait(): void {
  for (let i = 0; ; i++) {
    const done = atomic.load<i32>(DONE)
    if (done === currentParts()) return
    if (mayWait && i > SPINS) atomic.wait<i32>(DONE, done, -1)
  }
}

/** Takes a share; −1 where none is left. */
function take(): i32 {
  let left = atomic.load<i32>(LEFT)
  while (left > 0) {
    const found = atomic.cmpxchg<i32>(LEFT, left, left - 1)
    if (found === left) break
    left = found
  }
  return left - 1
}

/** A helper thread's wait for a share. */
export function awaitShare(): i32 {
  let part = take()
  for (let i = 1; part < 0; i++) {
    if (i % SPINS === 0) atomic.wait<i32>(LEFT, 0, -1)
    part = take()
  }
  return part
}

/** Tells that a share is done. */
export function finished(): void {
  const parts = currentParts()
  if (atomic.add<i32>(DONE, 1) + 1 === parts) atomic.notify(DONE, 1)
}

export function currentOperation(): i32 {
  return load<i32>(OPERATION)
}

export function currentParts(): i32 {
  return load<i32>(PARTS)
}
