import { expect, test } from 'vitest'
import { type PlotSeries, svgPlot } from './svg-plot.ts'

const options = { title: 'Size & loss', x: 'MB', y: 'nats' }
const series = (count: number): PlotSeries[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `series ${i}`,
    points: [
      { x: 1, y: 1 },
      { x: 2, y: 1 + i / 1e4 },
    ],
  }))

/** Heights of the names beside the plot. */
const labels = (svg: string) =>
  [...svg.matchAll(/<text x="432" y="([\d.]+)">/g)].map(([, y]) => Number(y)).sort((a, b) => a - b)

test('every series is named beside the plot, no two names over each other, none cut off', () => {
  const svg = svgPlot(series(23), options)
  const at = labels(svg)
  expect(at).toHaveLength(23)
  for (let i = 1; i < at.length; i++) expect(at[i] - at[i - 1]).toBeGreaterThanOrEqual(15.9)
  const height = Number(/viewBox="0 0 560 ([\d.]+)"/.exec(svg)![1])
  expect(at[0]).toBeGreaterThan(16)
  expect(at.at(-1)).toBeLessThan(height)
})

test('the plot is as wide as its longest name needs', () => {
  const name = 'a name of a series that is rather long'
  const svg = svgPlot([{ name, points: [{ x: 1, y: 1 }] }], options)
  expect(svg).toContain(`>${name}</text>`)
  expect(Number(/viewBox="0 0 (\d+)/.exec(svg)![1])).toBeGreaterThan(432 + 6 * name.length)
})

test('series look different from each other', () => {
  const looks = [
    ...svgPlot(series(23), options).matchAll(
      /<path d="(M-?[^"]+z?)" transform="translate\(424 [\d.]+\)" fill="(#\w+)"/g,
    ),
  ]
  expect(new Set(looks.map(([, shape, colour]) => shape + colour)).size).toBe(23)
})

test('texts are escaped, a logarithmic axis leaves out what it cannot show, nothing gives nothing', () => {
  expect(svgPlot(series(1), options)).toContain('Size &amp; loss')
  const log = svgPlot(
    [
      {
        name: 'a',
        points: [
          { x: 1, y: 0 },
          { x: 1, y: 0.1 },
        ],
      },
    ],
    { ...options, log: true },
  )
  expect(log.match(/<title>1, /g)).toHaveLength(1)
  expect(svgPlot([], options)).toBe('')
})

test('labels stand beside their dots, away from each other', () => {
  const points = [
    { x: 1, y: 1, label: 'Q4 & Q5' },
    { x: 1.1, y: 1, label: 'Q6' },
    { x: 3, y: 2 },
  ]
  const svg = svgPlot([{ name: 'a', points }], options)
  expect(
    [...svg.matchAll(/text-anchor="(\w+)" font-size="10">([^<]+)</g)].map(([, ...found]) => found),
  ).toEqual([
    ['end', 'Q4 &amp; Q5'],
    ['start', 'Q6'],
  ])
})
