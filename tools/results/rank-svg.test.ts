import { expect, test } from 'vitest'
import { rankSvg } from './rank-svg.ts'

test('names stand in the order of their values, each with its value, ten times the value equally far', () => {
  const ranked = [
    { name: 'c', value: 1 },
    { name: 'a & b', value: 0.01 },
    { name: 'd', value: 0.1, title: 'perplexity 30' },
  ]
  const svg = rankSvg(ranked, { title: 'Less is better', x: 'nats' })
  expect([...svg.matchAll(/text-anchor="end">([^<]+)</g)].map(([, name]) => name)).toEqual([
    'a &amp; b',
    'd',
    'c',
  ])
  const across = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x))
  expect(across[1] - across[0]).toBeCloseTo(across[2] - across[1], 0)
  expect(svg).toContain('<title>perplexity 30</title>')
  expect(svg.match(/text-anchor="middle">(0\.01|0\.1|1)</g)).toHaveLength(3)
})

test('equal values are no reason to fail', () => {
  expect(rankSvg([{ name: 'a', value: 2 }], { title: 't', x: 'nats' })).not.toContain('NaN')
})
