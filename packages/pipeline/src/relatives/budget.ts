/** Blocks at the start that budgets by share leave alone: errors there pass through all others. */
export const keptBlocks = 2

/** Shares of the parameters that a matrix may keep, from 4 %. */
export const keptShares: readonly number[] = Array.from({ length: 49 }, (_, i) => (i + 2) / 50)
