export { normals, relativeError } from './measure.ts'
export { type Mutation, mutations } from './mutations.ts'
export { realWeights } from './real-weights.ts'
export {
  type ConformanceCase,
  type ConformanceCheck,
  type ConformanceOptions,
  conformance,
  type TestRunner,
} from './suite.ts'
