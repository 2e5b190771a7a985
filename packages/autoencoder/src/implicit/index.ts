export { implicit } from './codec.ts'
export { type ImplicitParams, implicitParams } from './params.ts'
