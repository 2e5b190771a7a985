/**
 * Two workers of one thread beside one: compresses a random model with `--no-sequential --effort best` by way of a Redis of its own
 * and a shared directory, all on this machine. Three processes seldom have a core each, so the time is also given without what they
 * waited for one, as Linux counts it: as long as it takes where each has its own. Needs Linux and `redis-server`.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/queue-workers.ts [--record]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { compress } from '../../packages/pipeline/src/index.ts'
import { startRedis } from '../../packages/pipeline/test/redis.ts'
import { charTokenizer, writeRandomModel } from '../../packages/testing/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import { root } from '../results/schema.ts'
import { between, coreTime } from './queue/core-time.ts'

const [hidden, inner, layers] = [256, 768, 4]
const seconds = { unit: 's', digits: 1 }
const finish = startBench({
  name: 'queue-workers',
  what: `\`compress --no-sequential --effort best\` of a random model of ${layers} layers, ${hidden} wide, with workers of one thread on the same machine.`,
  sources: [...compression, 'tools/bench/queue-workers.ts', 'tools/bench/queue'],
  columns: {
    workers: { label: 'workers' },
    encoding: { label: 'processor seconds of the workers', ...seconds },
    master: { label: 'of `compress`', ...seconds },
    wall: { label: 'seconds by the clock', ...seconds },
    load: { label: 'load of the machine meanwhile', unit: 'processes', digits: 0 },
    unhindered: { label: 'without waiting for a core', ...seconds },
    gain: { label: 'times as fast', unit: '', digits: 2 },
  },
  key: ['workers'],
  seed: 0,
})

const folder = await mkdtemp(join(tmpdir(), 'reallm-workers-'))
const shared = join(folder, 'shared')
const text = join(folder, 'text.txt')
await writeFile(text, 'the sea and the whale and the boat. '.repeat(30))

async function randomModel(name: string, width: number, ffn: number): Promise<string> {
  const config = {
    ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], rms_norm_eps: 1e-6, rope_theta: 10_000 },
    ...{ hidden_size: width, intermediate_size: ffn, num_hidden_layers: layers, hidden_act: 'silu' },
    ...{ num_attention_heads: 4, num_key_value_heads: 4, max_position_embeddings: 512 },
    ...{ tie_word_embeddings: true, vocab_size: 128 },
  }
  await writeRandomModel(join(folder, name), config, { tokenizer: charTokenizer.files })
  return join(folder, name)
}

const redis = await startRedis()

async function exited(worker: ChildProcess): Promise<never> {
  const [code] = await once(worker, 'exit')
  throw new Error(`the worker exited with ${code}`)
}

async function startWorker(): Promise<ChildProcess> {
  const cli = join(root, 'packages/reallm/src/cli.ts')
  const args = ['worker', '--queue', redis.url, '--shared', shared, '--threads', '0']
  const worker = spawn(process.execPath, [...process.execArgv, cli, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  started.push(worker)
  await Promise.race([once(worker.stderr!, 'data'), exited(worker)])
  worker.stderr!.resume()
  return worker
}

/** Compresses with these workers, and says what it took. */
async function measure(model: string, workers: readonly ChildProcess[]) {
  const pids = [process.pid, ...workers.map(worker => worker.pid!)]
  // nothing is taken from what an earlier run has measured
  process.env.REALLM_CACHE = await mkdtemp(join(folder, 'cache-'))
  const before = pids.map(coreTime)
  const began = performance.now()
  await compress(model, {
    ...{ to: await mkdtemp(join(folder, 'out-')), bits: 4, effort: 'best', sequential: false, force: true },
    ...{ evaluate: false, calibration: text, queue: { url: redis.url, shared }, backend: 'wasm' },
  })
  const wall = (performance.now() - began) / 1000
  const [master, ...encoders] = pids.map((pid, i) => between(before[i], coreTime(pid)))
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const encoding = sum(encoders.map(({ ran }) => ran))
  const delayed = sum([master, ...encoders].map(({ ran, waited }) => ran + waited))
  return {
    ...{ workers: String(workers.length), encoding, master: master.ran, wall, load: loadavg()[1] },
    unhindered: (wall * (master.ran + encoding)) / delayed,
  }
}

const started: ChildProcess[] = []
async function stop(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  worker.kill('SIGINT')
  await once(worker, 'exit')
}

try {
  const [small, model] = [await randomModel('small', 32, 64), await randomModel('model', hidden, inner)]
  const workers = [await startWorker(), await startWorker()]
  await measure(small, workers) // all code is compiled
  const two = await measure(model, workers)
  await stop(workers.pop()!)
  const one = await measure(model, workers)
  finish([
    { ...one, gain: 1 },
    { ...two, gain: one.unhindered / two.unhindered },
  ])
} finally {
  await Promise.all(started.map(stop))
  await redis.stop()
  await rm(folder, { recursive: true, force: true })
}
