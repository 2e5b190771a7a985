export { implicit } from './codec.ts'
export { type ImplicitInput, type ImplicitParams, implicitParams } from './params.ts'
