import { expect, test } from 'vitest'
import { rowsTable } from './table.ts'

test('significant digits are written as one reads them, powers of ten only beyond that', () => {
  const table = rowsTable(
    { value: { label: 'value', unit: 'nats', precision: 3 } },
    [0.00762, 41.26, 1370.4, 580_123, 2.904e8].map(value => ({ value })),
  )
  expect(table.match(/(?<=^\| )\S.*(?= \|$)/gm)?.slice(2)).toEqual([
    '0.00762',
    '41.3',
    '1,370',
    '580,000',
    '2.90 · 10^8',
  ])
})
