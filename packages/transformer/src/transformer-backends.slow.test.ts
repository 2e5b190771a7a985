import { describe } from 'vitest'
import { testGoldenModels } from '../test/golden-suite.ts'
import { listBackends } from './tf.ts'

const others = (await listBackends()).filter(
  ({ name, found }) => found && (name === 'native' || name === 'cpu'),
)

describe.each(others.map(({ name }) => name))('on %s', testGoldenModels)
