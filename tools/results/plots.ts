import { type PlotPoint, svgPlot } from '../../packages/pipeline/src/output/svg-plot.ts'
import { filesOf } from './gguf-files.ts'
import { rankSvg } from './rank-svg.ts'
import { type Row, readResults } from './schema.ts'

/** Plots that are drawn from results files, by their paths. */
export const plots: Readonly<Record<string, () => string>> = {
  'docs/guides/plots/targets-SmolLM2.svg': sizesPlot,
  'docs/research/plots/decoders.svg': decodersPlot,
  'docs/research/plots/recipes-tiny.svg': () => recipesPlot('tiny', 'The embedded model'),
  'docs/research/plots/recipes-SmolLM2-135M-Instruct.svg': () =>
    recipesPlot('SmolLM2-135M-Instruct', 'SmolLM2-135M'),
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

/** What each recipe loses of a model at 3 bits per weight. */
function recipesPlot(model: string, title: string): string {
  const ranked = readResults('recipes')
    .runs.flatMap(run => run.rows)
    .filter(row => row.model === model && row.asked === '3 bits')
    .map(({ recipe, kl, bitsPerWeight, perplexity }) => ({
      // one recipe stores less than it may
      name:
        Number(bitsPerWeight) < 2.9 ? `${recipe}, ${Number(bitsPerWeight).toFixed(1)} bits` : String(recipe),
      value: Number(kl),
      title: `${recipe}: perplexity ${Number(perplexity).toPrecision(4)}`,
    }))
  const best = ranked.reduce((a, b) => (b.value < a.value ? b : a))
  return rankSvg(ranked, {
    title: `${title} at 3 bits: ${best.name} loses least`,
    x: 'KL divergence to the original, nats per token (logarithmic)',
  })
}

/** What decoders of 2 bits lose of the matrices of a layer of SmolLM2, φ counted, over what the fixed table loses. */
function decodersPlot(): string {
  const logs = new Map<string, number[]>()
  for (const row of readResults('decoders').runs.flatMap(run => run.rows)) {
    const name = [
      row.decoder,
      row.space === 'rotated' ? '' : row.space,
      row.rates === 'equal' ? 'equal rates' : '',
    ]
      .filter(Boolean)
      .join(', ')
    logs.set(name, [...(logs.get(name) ?? []), Math.log(1 + Number(row.changeOthers))])
  }
  const ranked = [...logs].map(([name, all]) => ({
    name,
    value: Math.exp(all.reduce((sum, log) => sum + log, 0) / all.length),
  }))
  return rankSvg(ranked, {
    title: 'SmolLM2-135M, layer 15 at 2 bits: no decoder beats the fixed table by 3 %',
    x: 'output error, times that of the fixed table (logarithmic)',
    names: 370,
  })
}
