import { type PlotPoint, svgPlot } from '../../packages/pipeline/src/output/svg-plot.ts'
import { filesOf } from './gguf-files.ts'
import type { Row } from './schema.ts'

/** Plots that are drawn from results files, by their paths. */
export const plots: Readonly<Record<string, () => string>> = {
  'docs/guides/plots/targets-SmolLM2.svg': sizesPlot,
}

/** Size and KL divergence of GGUF files by llama.cpp and by us, and of our own container. */
function sizesPlot(): string {
  return svgPlot(
    [
      {
        name: 'llama.cpp, GGUF',
        points: filesOf('llama.cpp').map(row => ({ ...pointOf(row), label: String(row.name) })),
      },
      { name: 'reallm, GGUF', line: true, points: filesOf('reallm, GGUF').map(pointOf) },
      { name: 'reallm, container', line: true, points: filesOf('reallm').map(pointOf) },
    ],
    {
      title: 'SmolLM2-135M: our files lose less at every size',
      x: 'whole file, MB',
      y: 'KL, nats/token',
      log: true,
    },
  )
}

const pointOf = ({ name, bytes, kl, perplexity }: Row): PlotPoint => ({
  x: Number(bytes) / 1e6,
  y: Number(kl),
  title: `${name}: perplexity ${Number(perplexity).toFixed(2)}`,
})
