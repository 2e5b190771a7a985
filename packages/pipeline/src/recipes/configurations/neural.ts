import {
  autoencoder,
  autoencoderWith,
  fitDecoder,
  type SharedDecoder as SharedNetwork,
  sharedParts,
} from '@reallm/autoencoder'
import { plusLowRank } from '@reallm/lowrank'
import type { MatrixModule } from '../../open/model-parts.ts'
import { type Configuration, configuration } from '../configuration.ts'
import type { Effort } from '../recipe.ts'
import { rankFor, vectorsWithRank } from './vectors.ts'

const trainingSteps: Record<Effort, number> = { fast: 20, normal: 150, best: 600 }

/** From large embeddings with a small decoder to small ones with a larger decoder, each at several rates. */
const decoderShapes = [
  { stages: 1, latentWidth: 4, decoderWidth: 2, latentBits: [1, 2, 3] },
  { stages: 2, latentWidth: 16, decoderWidth: 3, latentBits: [1, 2, 3] },
  { stages: 3, latentWidth: 16, decoderWidth: 6, latentBits: [2, 4] },
] as const

/** All of the paper: a low-rank part beside vectors or a neural decoder, whichever loses less. */
export const paperConfigurations = (module: MatrixModule, effort: Effort): Configuration[] => [
  ...vectorsWithRank(module),
  ...ownNetworks(module, effort),
  ...sharedNetworks(effort),
]

/** A network for each matrix, beside a low-rank part. */
function ownNetworks(module: MatrixModule, effort: Effort): Configuration[] {
  const rank = rankFor(module)
  const codec = plusLowRank({ rank, bits: 8, rounds: 1 }, autoencoder)
  return atAllShapes(effort, ({ stages, latentWidth, latentBits }, inner, suffix) =>
    configuration({
      id: `autoencoder-s${stages}-${latentWidth}x${latentBits}b-lowrank${suffix}`,
      label: `autoencoder, ${stages} stages, ${latentWidth} latents of ${latentBits} bits + rank ${rank}`,
      codec,
      params: { inner },
      family: `autoencoder of ${stages} stages`,
    }),
  )
}

/** Networks of which one decodes all matrices of a kind: its weights cost next to nothing. */
const sharedNetworks = (effort: Effort): Configuration[] =>
  atAllShapes(effort, ({ stages, latentWidth, latentBits }, params, suffix) => {
    const withCodec = (codec: typeof autoencoder) => ({
      id: `shared-autoencoder-s${stages}-${latentWidth}x${latentBits}b${suffix}`,
      label: `shared autoencoder, ${stages} stages, ${latentWidth} latents of ${latentBits} bits`,
      codec,
      params,
      family: `shared autoencoder of ${stages} stages`,
    })
    return configuration({
      ...withCodec(autoencoder),
      shared: {
        includes: part => sharedParts.some(name => name === part),
        fit: (group, ctx) => fitDecoder(group, params, ctx),
        with: fitted => configuration(withCodec(autoencoderWith(fitted as SharedNetwork))),
      },
    })
  })

interface Rate {
  readonly stages: number
  readonly latentWidth: number
  readonly latentBits: number
}

/** Every shape at every rate, each with two shorter trainings as trials. */
function atAllShapes(
  effort: Effort,
  make: (rate: Rate, params: ReturnType<typeof networkParams>, suffix: string) => Configuration,
): Configuration[] {
  const steps = trainingSteps[effort]
  return decoderShapes.flatMap(({ latentBits: rates, ...shape }) =>
    rates.map(latentBits => {
      const rate = { ...shape, latentBits }
      const trial = (steps: number) => make(rate, networkParams(rate, steps), `-${steps}steps`)
      const whole = make(rate, networkParams(rate, steps), '')
      return { ...whole, trials: [trial(0), trial(Math.ceil(steps / 4))] }
    }),
  )
}

const networkParams = <R extends Rate>(rate: R, steps: number) => ({
  ...rate,
  patch: 32 as const,
  weighted: true,
  steps,
})
