export { type Allocation, allocate, type Candidate, frontier } from './allocate.ts'
export { type CompressOptions, compress } from './compress.ts'
export { type ConvertOptions, convertDtypes, convertModel } from './convert/convert.ts'
export { finetune, summaryOf, type TuneOptions } from './finetune.ts'
export { requireEmpty } from './journal.ts'
export type { Scope } from './modules.ts'
export {
  type CompressPlan,
  type FrontierPlan,
  frontierSvg,
  planCompression,
  planFrontier,
} from './plan-model.ts'
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
} from './recipe.ts'
export { builtInRecipe, recipes } from './recipes.ts'
export { builtInRegistry } from './registry.ts'
export type { CompressReport, FrontierPoint, MatrixReport, QualityReport } from './report.ts'
export { reportHtml } from './report-html.ts'
export * from './wrappers/index.ts'
