import { ReallmError } from '../../core/errors.ts'

/** `npm:name[@version]` in its pieces. */
export interface PackageSpec {
  readonly name: string
  readonly version: string | undefined
}

/** Takes the name of a package apart; throws `bad-option` when it is none. */
export function parsePackageSpec(spec: string): PackageSpec {
  const [, name, version] = /^npm:((?:@[\w.-]+\/)?[\w-][\w.-]*)(?:@([\w.+-]+))?$/.exec(spec) ?? []
  if (name === undefined) {
    throw new ReallmError('bad-option', `${spec}: that is no package name`, {
      hint: 'write npm:@scope/name or npm:@scope/name@1.0.0',
    })
  }
  return { name, version }
}
