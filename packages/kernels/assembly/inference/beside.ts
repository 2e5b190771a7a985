// What a module beside `inference`, on its memory, takes from it.

/** Runs an operation on all threads: `run` of `inference`. */
// @ts-expect-error: decorator
@external("env", "run")
export declare function run(operation: i32, work: i64): void

/** Operations of another module. */
// @ts-expect-error: decorator
@external("env", "other")
export declare function other(operation: i32, part: i32, parts: i32, thread: i32): void
