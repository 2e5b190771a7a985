export { type ImplicitInput, implicit } from './codec.ts'
