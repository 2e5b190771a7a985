export { allocate, type Candidate, frontier, type Solution } from './allocate/knapsack.ts'
export { type ImatrixOptions, measureImatrix } from './calibrate/measure-imatrix.ts'
export { type CompressOptions, compress } from './compress.ts'
export { type ConvertOptions, convertDtypes, convertModel } from './convert/convert.ts'
export {
  type ComparedModel,
  type CompareOptions,
  type Comparison,
  compareModels,
} from './evaluate/compare-models.ts'
export {
  type CachedOptions,
  type CachedTaskResult,
  type EvaluationSet,
  evaluateOpenedTask,
  evaluatePerplexities,
} from './evaluate/evaluate-opened.ts'
export {
  type EvaluatedOptions,
  type EvaluatedSpec,
  type EvaluationDevice,
  evaluationDevices,
  type OpenedEvaluation,
  type OpenedEvaluations,
  openEvaluated,
} from './evaluate/open-evaluated.ts'
export { finetune, type TuneOptions, type TuneResult, type TuneSummary } from './finetune/finetune.ts'
export { checkWeights } from './open/check-weights.ts'
export type { MatrixModule, Scope } from './open/model-parts.ts'
export { requireSameTokenizers } from './output/compare-tokenizers.ts'
export { comparisonHtml, comparisonMarkdown, comparisonNote, comparisonRows } from './output/comparison.ts'
export type { DestinationOptions } from './output/destination.ts'
export { frontierSvg } from './output/frontier-svg.ts'
export type { Inputs } from './output/inputs.ts'
export type { CompressReport, FrontierPoint, MatrixReport, QualityReport } from './output/report.ts'
export { reportHtml } from './output/report-html.ts'
export { type OutputOptions, writeOutput } from './output/write-output.ts'
export { type CompressPlan, type FrontierPlan, planCompression, planFrontier } from './plan.ts'
export {
  type Configuration,
  configuration,
  type SharedDecoder,
  type SharedTensors,
} from './recipes/configuration.ts'
export {
  type ConfigurationsOf,
  configurationsFor,
  type Effort,
  efforts,
  type Joint,
  type JointJob,
  type LayerJob,
  type Objective,
  type PerMatrix,
  type Recipe,
  recipe,
} from './recipes/recipe.ts'
export { builtInRecipe, recipes } from './recipes/recipes.ts'
export { builtInRegistry } from './recipes/registry.ts'
export { evaluateStages, inStages, type Stage, type Stages, staged } from './stages.ts'
