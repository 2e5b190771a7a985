export { type Allocation, allocate, type Candidate, frontier } from './allocate/knapsack.ts'
export { type CompressOptions, compress } from './compress.ts'
export { type ConvertOptions, convertDtypes, convertModel } from './convert/convert.ts'
export { finetune, type TuneOptions, type TuneResult, type TuneSummary } from './finetune/finetune.ts'
export type { Scope } from './open/model-parts.ts'
export type { DestinationOptions } from './output/destination.ts'
export type { Inputs } from './output/inputs.ts'
export type { CompressReport, FrontierPoint, MatrixReport, QualityReport } from './output/report.ts'
export { reportHtml } from './output/report-html.ts'
export { type OutputOptions, writeOutput } from './output/write-output.ts'
export {
  type CompressPlan,
  type FrontierPlan,
  frontierSvg,
  planCompression,
  planFrontier,
} from './plan.ts'
export {
  type Choice,
  choice,
  choicesFor,
  type Effort,
  efforts,
  type MatrixKind,
  type MatrixModule,
  type Recipe,
  type RecipeParts,
  recipe,
  type SharedFit,
  type SharedTensors,
} from './recipes/recipe.ts'
export { builtInRecipe, recipes } from './recipes/recipes.ts'
export { builtInRegistry } from './recipes/registry.ts'
