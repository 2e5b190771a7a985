export { type FeedbackOptions, withFeedback } from './with-feedback.ts'
