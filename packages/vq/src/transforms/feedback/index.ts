export { DAMPING, type FeedbackOptions, OUTPUT_DAMPING, withFeedback } from './with-feedback.ts'
