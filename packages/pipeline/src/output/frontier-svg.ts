import type { FrontierPoint } from './report.ts'
import { svgPlot } from './svg-plot.ts'

/** A frontier as an SVG plot. */
export const frontierSvg = (frontier: readonly FrontierPoint[]): string =>
  svgPlot(
    [
      {
        name: 'possible sizes',
        line: true,
        points: frontier.map(p => ({
          x: p.bytes / 1e6,
          y: p.predicted,
          title: `${p.bitsPerWeight.toFixed(2)} bits per weight`,
        })),
      },
    ],
    { title: 'Size against predicted loss', x: 'MB', y: 'predicted loss', log: true },
  )
