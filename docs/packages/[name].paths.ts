import { packageNames, pageOf } from './packages.ts'

export default {
  watch: ['../../packages/*/README.md', '../live/*.js'],
  paths: () => packageNames.map(name => ({ params: { name }, content: pageOf(name) })),
}
