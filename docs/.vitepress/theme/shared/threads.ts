/** Threads worth starting; what cannot share memory starts one. */
export const threads = (): number => Math.min(4, navigator.hardwareConcurrency ?? 1)
