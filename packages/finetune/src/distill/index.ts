export { divergence, type TopK } from './divergence.ts'
export { directionLoss, directions } from './hidden-states.ts'
export { type TeacherLogits, type TeacherOptions, type Teaching, teacherLogits } from './teacher.ts'
export { topK } from './top-k.ts'
