import { bytesText, counted } from '@reallm/tensor-io'
import { Command } from 'commander'
import { type Io, print } from '../io.ts'
import { readKey } from '../key-file.ts'
import { parseSize } from '../options.ts'

interface Options {
  name: string
  output?: string | undefined
  packageVersion: string
  license?: string | undefined
  sign?: string | undefined
  maxFile?: number | undefined
  force?: boolean | undefined
  json?: boolean | undefined
}

/** Above this, CDNs of npm packages begin to refuse (jsDelivr: 100 to 150 MB by default). */
const CDN_BYTES = 100e6

/** `reallm pack <artifact> --name @you/model` */
export const packCommand = (io: Io): Command =>
  new Command('pack')
    .description('Make an npm package of a compressed model, to publish and to load as npm:@you/model.')
    .argument('<artifact>', 'a directory that `reallm compress` or `reallm finetune` wrote')
    .requiredOption('--name <name>', 'name of the package, like @you/model')
    .option('-o, --output <dir>', 'directory to write, new or empty (default: <artifact>-npm)')
    .option('--package-version <version>', 'version of the package', '1.0.0')
    .option('--license <spdx>', 'licence of the weights, like Apache-2.0 (default: what the model card says)')
    .option(
      '--max-file <size>',
      'cut weight files that are larger, like 8MB, for hosts that refuse them',
      parseSize,
    )
    .option('--sign <file>', 'private key to sign the package with: Ed25519 in PEM')
    .option('--force', 'replace what an earlier run wrote to the output')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm pack out --name @you/model                     writes out-npm
  $ npm publish ./out-npm                                 the package is public then
  $ reallm pack out --name @you/model -o package --license Apache-2.0

  $ openssl genpkey -algorithm ed25519 -out key.pem       a key; keep it to yourself
  $ openssl pkey -in key.pem -pubout -out key.pub.pem     its public key; tell it to everybody
  $ reallm pack out --name @you/model --sign key.pem
  $ reallm generate out-npm -p "Hello" --public-key key.pub.pem

In Node load('npm:@you/model') finds the installed package; in a page load('npm:@you/model', { base }) reads it from any
CDN, for example { base: 'https://cdn.jsdelivr.net/npm/' }.
`,
    )
    .action(async (artifact: string, options: Options) => {
      const { pack } = await import('../pack.ts')
      const output = options.output ?? `${artifact.replace(/[/\\]+$/, '')}-npm`
      const packed = await pack(artifact, {
        name: options.name,
        to: output,
        version: options.packageVersion,
        signal: io.signal,
        license: options.license,
        maxFileBytes: options.maxFile,
        privateKey: await readKey(options.sign),
        force: options.force,
      })
      if (packed.license === undefined) {
        io.err('The model card says no licence: give one with --license before you publish.\n')
      }
      if (packed.bytes > CDN_BYTES) {
        io.err(
          `${bytesText(packed.bytes)}: npm installs it, but CDNs refuse packages above 100 to 150 MB: serve the files yourself to pages.\n`,
        )
      }
      print(
        io,
        options,
        { output, ...packed },
        () =>
          `${output}: ${packed.name}@${packed.version}, ${counted(packed.files.length, 'file')}, ${bytesText(packed.bytes)}; publish it with: npm publish ${folderFor(output)}\n`,
      )
    })

/** A folder as npm takes it: other paths are packages and repositories to it. */
const folderFor = (path: string) => (/^([./\\]|[a-z]:)/i.test(path) ? path : `./${path}`)
