/** What steps of the kernels of vectors are written with. */
export interface StepWriter {
  /** The vector, and the one that is kept, at an index. */
  readonly at: (index: string) => string
  readonly kept: (index: string) => string
  readonly barrier: string
  /** A body for each of `n` values, `e`. */
  readonly each: (n: string, body: string) => string
}

/** Steps of models with experts or per-layer inputs. */
export type RareStepName =
  | 'add'
  | 'times'
  | 'route'
  | 'only'
  | 'clear'
  | 'mix'
  | 'recall'
  | 'clampedGate'
  | 'unit'

/** WGSL of the steps that few models have; see `VectorOp`. */
export const rareSteps = ({ at, kept, barrier, each }: StepWriter): Record<RareStepName, string> => ({
  add: each('a0', `${at('e')} = bitcast<f32>(a1) * (${kept('e')} + ${at('e')});`),
  times: each('a0', `${at('e')} *= bitcast<f32>(a1);`),
  route: `${barrier}
  ${each(
    'a0',
    `var rank = 0u;
    for (var j = 0u; j < a0; j++) {
      rank += u32(${at('j')} > ${at('e')} || (${at('j')} == ${at('e')} && j < e));
    }
    ${kept('e')} = f32(rank);`,
  )}
  ${barrier}
  var top = ${at('0u')};
  for (var j = 1u; j < a0; j++) { top = max(top, ${at('j')}); }
  var all = 0.0;
  for (var j = 0u; j < a0; j++) {
    if (a4 == 1u || ${kept('j')} < f32(a1)) { all += exp(${at('j')} - top); }
  }
  ${each('a0', `y[a2 + e * a3 + token] = select(0.0, exp(${at('e')} - top) / all, ${kept('e')} < f32(a1));`)}
  if (a5 == 1u && i == 0u) { y[a2 + a0 * a3 + token] = 1.0; }`,
  only: 'if (y[a0 + token] == 0.0) { pc += a1; }',
  clear: each('a0', `${kept('e')} = 0.0;`),
  mix: each('a0', `${kept('e')} += y[a1 + token] * ${at('e')};`),
  recall: each('a0', `${at('e')} = ${kept('e')};`),
  unit: each('a0', `${at('e')} = f32(e == ids[token]);`),
  clampedGate: each(
    'a0',
    `let limit = bitcast<f32>(a2);
    let g = min(${kept('e')}, limit);
    ${at('e')} = g / (1.0 + exp(-bitcast<f32>(a1) * g)) * (clamp(${at('e')}, -limit, limit) + 1.0);`,
  ),
})
