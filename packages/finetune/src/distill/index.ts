export { divergence, type TopK } from './divergence.ts'
export { type TeacherLogits, type TeacherOptions, teacherLogits } from './teacher.ts'
export { topK } from './top-k.ts'
