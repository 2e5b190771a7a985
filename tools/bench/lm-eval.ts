/**
 * `reallm eval --tasks` beside lm-evaluation-harness on the embedded model and the small benchmarks of the tests, item by item:
 *
 *   npx tsx --conditions=@reallm/source tools/bench/lm-eval.ts PYTHON [--record]
 *
 * PYTHON has lm_eval and torch, see `lm-eval-agreement.py`, which also takes other models and documents. Fails where they disagree.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { packages, startBench } from '../results/record.ts'

const finish = startBench({
  name: 'lm-eval',
  what: 'Zero-shot benchmarks of the embedded model by `reallm eval --tasks` (float32) and by lm-evaluation-harness 0.4.13, on the same few documents: how far they agree.',
  sources: [...packages('tensor-io', 'kernels', 'transformer', 'eval'), 'tools/bench/lm-eval-agreement.py'],
  columns: {
    task: { label: 'task' },
    documents: { label: 'documents', unit: 'documents' },
    same: { label: 'same choice', unit: 'documents' },
    sameByLength: { label: 'same by length', unit: 'documents' },
    accuracy: { label: 'accuracy, %', unit: 'share', scale: 100, digits: 1 },
    theirAccuracy: { label: 'theirs, %', unit: 'share', scale: 100, digits: 1 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    theirPerplexity: { label: 'theirs', unit: '', digits: 2 },
    apart: { label: 'log-likelihoods within, nats', unit: 'nats', precision: 2 },
  },
  key: ['task'],
  seed: null,
})
const [python = 'python3'] = process.argv.slice(2)
const root = join(import.meta.dirname, '..', '..')
const stdout = execFileSync(
  python,
  [
    ...[join(import.meta.dirname, 'lm-eval-agreement.py'), 'packages/tiny/model'],
    ...[
      'packages/testing/fixtures/tasks',
      '--json',
      '--reallm',
      `${process.execPath} packages/reallm/bin/reallm.js`,
    ],
  ],
  { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
)
finish(JSON.parse(stdout.trim().split('\n').at(-1)!))
