import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What gauges show when they are asked. */
export interface Levels {
  readonly running: number
  readonly waiting: number
  /** Bytes of weights and of the texts that are being written. */
  readonly modelBytes: number
}

/** What a server counts, for Prometheus. */
export class Metrics {
  readonly #registry = new Registry()
  readonly requests = this.#own(
    new Counter({
      ...{ name: 'reallm_requests_total', help: 'Requests answered', registers: [] },
      labelNames: ['route', 'status'],
    }),
  )
  readonly promptTokens = this.#own(
    new Counter({ name: 'reallm_prompt_tokens_total', help: 'Tokens read', registers: [] }),
  )
  readonly generatedTokens = this.#own(
    new Counter({ name: 'reallm_generated_tokens_total', help: 'Tokens written', registers: [] }),
  )
  readonly seconds = this.#own(
    new Histogram({
      ...{ name: 'reallm_request_seconds', help: 'From a request to the end of its answer', registers: [] },
      ...{ labelNames: ['route'], buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] },
    }),
  )
  readonly firstTextSeconds = this.#own(
    new Histogram({
      ...{ name: 'reallm_first_text_seconds', help: 'From a request to its first text', registers: [] },
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    }),
  )

  constructor(levels: () => Levels) {
    const gauge = (name: string, help: string, value: () => number) =>
      this.#own(
        new Gauge({
          ...{ name, help, registers: [] },
          collect() {
            this.set(value())
          },
        }),
      )
    gauge('reallm_texts_running', 'Texts that are being written', () => levels().running)
    gauge('reallm_texts_waiting', 'Texts that wait for their turn', () => levels().waiting)
    gauge('reallm_model_bytes', 'Memory of weights, scratch space and texts', () => levels().modelBytes)
    gauge('process_resident_memory_bytes', 'Memory of the process', () => process.memoryUsage.rss())
  }

  /** In Prometheus' text format. */
  async text(): Promise<{ readonly text: string; readonly type: string }> {
    return { text: await this.#registry.metrics(), type: this.#registry.contentType }
  }

  #own<T extends Counter | Gauge | Histogram>(metric: T): T {
    this.#registry.registerMetric(metric)
    return metric
  }
}
