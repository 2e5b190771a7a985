// Lists the licences of all packages that users of the published packages install; fails where one is not known to be harmless:
// npm run licences
import { isAllowed, productionDependencies } from './production.ts'

const dependencies = productionDependencies()
for (const { name, version, license } of dependencies) console.log(`${name}@${version}`.padEnd(48), license)
const unknown = dependencies.filter(({ license }) => !isAllowed(license))
for (const { name, version, license } of unknown)
  console.error(`${name}@${version}: ${license} is not allowed`)
process.exitCode = unknown.length > 0 ? 1 : 0
