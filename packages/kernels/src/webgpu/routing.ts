/** WGSL that a product kernel is given for matrices of experts. */
export interface Routing {
  readonly globals: string
  /**
   * Leaves the kernel where none of the workgroup's tokens has chosen the expert.
   *
   * @param shares WGSL of where in `y` the shares of the tokens are, 1 more, or 0 for a matrix that all tokens multiply
   * @param tokens WGSL of the first token and of the one after the last
   */
  readonly check: (shares: string, tokens: readonly [string, string]) => string
}

/** Products with matrices of experts, for those tokens that have chosen them. */
export const routing: Routing = {
  globals: 'var<workgroup> isReached: u32;',
  check: (share, [from, to]) => `
  if (i == 0u) {
    let shares = ${share};
    isReached = u32(shares == 0u);
    if (shares > 0u) {
      for (var t = ${from}; t < ${to}; t++) { isReached |= u32(y[shares - 1u + t] != 0.0); }
    }
  }
  if (workgroupUniformLoad(&isReached) == 0u) { return; }`,
}
