import { ReallmError, type Tensor } from '@reallm/tensor-io'
import { type Tf, type TfTensor, tf } from './tf.ts'

/** A tensor that training changes. */
export type TfVariable = ReturnType<Tf['variable']>
/** What is trained, by name. */
export type Parameters = ReadonlyMap<string, TfVariable>

/** Options of `AdamW`. */
export interface AdamWOptions {
  readonly beta1?: number | undefined
  readonly beta2?: number | undefined
  readonly epsilon?: number | undefined
  /** Decoupled weight decay, on parameters of two or more axes only; default 0. */
  readonly weightDecay?: number | undefined
  /**
   * Factors on the learning rate by a parameter's name, or by its kind, which is the last part of that: `lora_A`, `lora_B`,
   * `row_scale`, `magnitude`, `weight` (norms). Others have 1. `finetuneArtifact`: `weight` 0.1, `row_scale` 0.5.
   */
  readonly rates?: Readonly<Record<string, number>> | undefined
}

/** AdamW (Loshchilov & Hutter, 1711.05101) over named variables, with a state that can be saved. */
export interface AdamW {
  /** One update; `gradients` go by the parameters' names and stay the caller's. `scale` multiplies each of them. */
  step(gradients: ReadonlyMap<string, TfTensor>, learningRate: number, scale?: TfTensor): void
  /** Steps taken. */
  readonly steps: number
  /** Moments, named `<parameter>.m` and `<parameter>.v`. */
  state(): Promise<Map<string, Tensor<'F32'>>>
  restore(state: ReadonlyMap<string, Tensor<'F32'>>, steps: number): void
  dispose(): void
}

/** Makes the optimiser; it owns two tensors per parameter until `dispose`. */
export function adamW(parameters: Parameters, options: AdamWOptions = {}): AdamW {
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0, rates = {} } = options
  const zero = (p: TfVariable) => tf.tidy(() => tf.variable(tf.zerosLike(p), false))
  const moments = new Map([...parameters].map(([name, p]) => [name, { m: zero(p), v: zero(p) }]))
  let steps = 0

  const factorOf = (name: string) => rates[name] ?? rates[name.slice(name.lastIndexOf('.') + 1)] ?? 1

  function update(name: string, parameter: TfVariable, gradient: TfTensor, rate: number, scale?: TfTensor) {
    const { m, v } = moments.get(name)!
    const g = scale ? gradient.mul(scale) : gradient
    m.assign(m.mul(beta1).add(g.mul(1 - beta1)))
    v.assign(v.mul(beta2).add(g.square().mul(1 - beta2)))
    const root = v
      .sqrt()
      .mul(1 / Math.sqrt(1 - beta2 ** steps))
      .add(epsilon)
    const direction = m.div(root).mul(rate / (1 - beta1 ** steps))
    const decay = parameter.rank > 1 ? 1 - rate * weightDecay : 1
    parameter.assign((decay === 1 ? parameter : parameter.mul(decay)).sub(direction))
  }

  return {
    get steps() {
      return steps
    },
    step(gradients, learningRate, scale) {
      steps++
      for (const [name, parameter] of parameters) {
        const gradient = gradients.get(name)
        if (gradient) tf.tidy(() => update(name, parameter, gradient, learningRate * factorOf(name), scale))
      }
    },
    async state() {
      const saved = new Map<string, Tensor<'F32'>>()
      for (const [name, { m, v }] of moments) {
        saved.set(`${name}.m`, await toTensor(m))
        saved.set(`${name}.v`, await toTensor(v))
      }
      return saved
    },
    restore(state, taken) {
      steps = taken
      for (const [name, { m, v }] of moments) {
        assign(m, state, `${name}.m`)
        assign(v, state, `${name}.v`)
      }
    },
    dispose() {
      for (const { m, v } of moments.values()) tf.dispose([m, v])
      moments.clear()
    },
  }
}

/** A tfjs tensor's values as they are stored. */
export async function toTensor(t: TfTensor): Promise<Tensor<'F32'>> {
  return { dtype: 'F32', shape: t.shape, data: Float32Array.from((await t.data()) as Float32Array) }
}

/** Puts a stored tensor into a variable of the same shape. */
export function assign(variable: TfVariable, from: ReadonlyMap<string, Tensor<'F32'>>, name: string): void {
  const stored = from.get(name)
  if (!stored || String(stored.shape) !== String(variable.shape)) {
    const found = stored ? `has shape [${stored.shape}]` : 'is missing'
    throw new ReallmError('bad-file', `checkpoint: ${name} ${found}, the model needs [${variable.shape}]`, {
      hint: 'resume with the model and the options the run was started with',
    })
  }
  tf.tidy(() => variable.assign(tf.tensor(stored.data, [...stored.shape])))
}
