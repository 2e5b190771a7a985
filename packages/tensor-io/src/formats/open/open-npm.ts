import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { hasNode } from '../source/node.ts'
import { urlExists } from '../source/url-source.ts'
import { diskDirectory } from './disk-directory.ts'
import { openDirectory } from './open-directory.ts'
import { packageDirectory } from './package-directory.ts'
import { type PackageSpec, parsePackageSpec } from './parse-package-spec.ts'
import { urlDirectory } from './url-directory.ts'

/** Opens the model of an npm package: behind `options.base` when that is given, else in `node_modules`. */
export async function openNpm(spec: string, options: OpenOptions): Promise<ModelFiles> {
  const wanted = parsePackageSpec(spec)
  if (options.base !== undefined) {
    const root = packageUrl(wanted, options.base)
    // where `reallm pack` puts it: a page that opens such a package asks for nothing that is not there
    const folder = (await urlExists(`${root}model/config.json`, options)) ? `${root}model/` : root
    return openDirectory(await urlDirectory(folder, options), spec, options)
  }
  if (!hasNode()) {
    throw new ReallmError('unsupported', `${spec}: a page has no node_modules to look into`, {
      hint: "say where packages are served, for example { base: 'https://cdn.jsdelivr.net/npm/' }",
    })
  }
  return openDirectory(await diskDirectory(await packageDirectory(spec)), spec, options)
}

function packageUrl({ name, version }: PackageSpec, base: string): string {
  const path = `${base.replace(/\/?$/, '/')}${name}${version === undefined ? '' : `@${version}`}/`
  try {
    return new URL(path, globalThis.location?.href).href
  } catch (cause) {
    throw new ReallmError('bad-option', `base ${JSON.stringify(base)}: that is no URL`, {
      hint: 'for example https://cdn.jsdelivr.net/npm/; in a page it may be relative to it',
      cause,
    })
  }
}
