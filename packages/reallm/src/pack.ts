import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireSameTokenizers, writeOutput } from '@reallm/pipeline'
import {
  type ModelFiles,
  openModel,
  ReallmError,
  signatureName,
  signDirectory,
  throwIfAborted,
} from '@reallm/tensor-io'
import { openTokenizer } from '@reallm/tensor-io/models'
import validateName from 'validate-npm-package-name'
import { splitWeights } from './split-weights.ts'

/** Options of `pack`. */
export interface PackOptions {
  /** The package's name on npm: `@you/model`. */
  readonly name: string
  /** Directory to write, new or empty. */
  readonly to: string
  /** Default `1.0.0`. */
  readonly version?: string | undefined
  /** SPDX identifier. Default: what the model card says. */
  readonly license?: string | undefined
  /** Weight files that are larger than this, in bytes, are cut: some hosts refuse large files. Default: none is. */
  readonly maxFileBytes?: number | undefined
  /** Ed25519 in PEM (PKCS #8): the package is signed with it, for `load` with the public key. */
  readonly privateKey?: string | undefined
  /** Replaces what an earlier run wrote to `to`. */
  readonly force?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** A package that was written. */
export interface PackedModel {
  readonly name: string
  readonly version: string
  /** As in its package.json; undefined when neither the options nor the model card say one. */
  readonly license: string | undefined
  /** Sum of its files. */
  readonly bytes: number
  readonly files: readonly string[]
}

/**
 * Makes an npm package of an artifact: `npm publish` it, and `load('npm:@you/model')` finds it where it is installed or,
 * with `base`, where a CDN serves it. Checksums of the weights are compared first.
 *
 * @param artifact a directory that `compress` wrote
 * @throws `bad-option` for a name that npm refuses and an output that is not empty or holds the artifact; `unsupported` when `artifact` is not
 *   compressed; `not-found`, `bad-file`, `integrity` as `openModel` does
 * @example
 * await pack('out', { name: '@you/model', to: 'package', license: 'Apache-2.0' })
 */
export async function pack(artifact: string, options: PackOptions): Promise<PackedModel> {
  const { name, version = '1.0.0', to, force } = options
  checkName(name)
  if (!/^\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/.test(version)) {
    throw new ReallmError('bad-option', `${version}: that is no version for npm`, { hint: 'write 1.0.0' })
  }
  const output = { program: 'reallm pack', inputs: { artifact }, force }
  return writeOutput(to, output, folder => writePackage(folder, artifact, { ...options, version }))
}

async function writePackage(
  folder: string,
  artifact: string,
  { name, version, ...options }: PackOptions & { readonly version: string },
): Promise<PackedModel> {
  const model = await openModel(artifact, { verify: true, signal: options.signal })
  await model.close()
  if (model.kind !== 'artifact') {
    throw new ReallmError('unsupported', `${artifact}: it is no compressed model`, {
      hint: `compress it first: reallm compress ${artifact} -o out -b 3`,
    })
  }

  const entries: string[] = []
  // neither folders nor pipes and devices, which have no end
  for (const name of await readdir(artifact)) {
    if ((await stat(join(artifact, name))).isFile()) entries.push(name)
  }
  const files = entries
    // a package has a manifest and a signature of its own; an adapter beside a fine-tuned artifact is part of its weights
    .filter(
      name =>
        !/^\.|^package\.json$|^adapter_(config\.json|model\.safetensors)$/.test(name) &&
        name !== signatureName,
    )
    .sort()
  const card = files.includes('README.md')
    ? await readFile(join(artifact, 'README.md'), 'utf8')
    : `# ${name}\n`
  const license = options.license ?? licenseOf(card)
  const text = `${card.split(`\n${usageTitle}\n`)[0].trimEnd()}\n\n${usage(name, version)}`
  for (const file of files) {
    throwIfAborted(options.signal)
    await copyFile(join(artifact, file), join(folder, file))
  }
  await writeFile(join(folder, 'README.md'), text)
  const packed = await splitWeights(folder, files, options.maxFileBytes ?? Number.POSITIVE_INFINITY)
  if (options.privateKey !== undefined) {
    const signed = packed.filter(file => file !== 'README.md')
    await signDirectory(folder, signed, options.privateKey)
  }
  const listed = options.privateKey === undefined ? packed : [...packed, signatureName]
  const manifest = {
    name,
    version,
    description: `${titleOf(card) ?? name}: weights for ReALLM`,
    license: license ?? 'SEE LICENSE IN README.md',
    keywords: ['reallm', 'language-model', 'weights'],
    type: 'module',
    sideEffects: false,
    files: listed,
    exports: { './*': './*' },
    publishConfig: { access: 'public' },
  }
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  let bytes = 0
  for (const file of await readdir(folder)) bytes += (await stat(join(folder, file))).size
  await checkCopy(model, folder)
  return { name, version, license, bytes, files: listed }
}

/** Opens the package and compares its tokenizer with the artifact's. */
async function checkCopy(artifact: ModelFiles, folder: string): Promise<void> {
  const copy = await openModel(folder, { verify: false })
  const tokenizerOf = (files: ModelFiles) => ({ tokenizer: () => openTokenizer(files) })
  await requireSameTokenizers(
    tokenizerOf(artifact),
    tokenizerOf(copy),
    'the package',
    Number(copy.config.vocab_size),
  )
  await copy.close()
}

/** The rules of npm for new packages. */
function checkName(name: string): void {
  const { validForNewPackages, errors = [], warnings = [] } = validateName(name)
  if (validForNewPackages) return
  throw new ReallmError('bad-option', `${JSON.stringify(name)}: npm takes no package of that name`, {
    hint: `${[...errors, ...warnings].join('; ')}; write one like @you/model`,
  })
}

const spdx: Record<string, string> = {
  'apache-2.0': 'Apache-2.0',
  mit: 'MIT',
  'cc0-1.0': 'CC0-1.0',
  'cc-by-4.0': 'CC-BY-4.0',
  'cc-by-sa-4.0': 'CC-BY-SA-4.0',
}

/** The licence that a model card's front matter says, as npm writes it. */
function licenseOf(card: string): string | undefined {
  const front = /^---\n(.*?)\n---/s.exec(card)?.[1]
  return spdx[/^license: *["']?([\w.-]+)/m.exec(front ?? '')?.[1] ?? '']
}

const titleOf = (card: string): string | undefined => /^# (.+)$/m.exec(card)?.[1]

const usageTitle = '## From npm'

const usage = (name: string, version: string) => `${usageTitle}

\`\`\`sh
npm install @reallm/runtime ${name}
\`\`\`
\`\`\`js
import { load } from '@reallm/runtime'

const model = await load('npm:${name}') // Node: from node_modules
for await (const text of model.generate('Once upon a time')) process.stdout.write(text)

// a page: from any CDN of npm packages, or from a path of the page's own server
await load('npm:${name}@${version}', { base: 'https://cdn.jsdelivr.net/npm/' })
\`\`\`
`
