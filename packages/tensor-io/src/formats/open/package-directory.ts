/**
 * The directory of the model in an installed package, `npm:name[@version]`; in Node only.
 * Throws `bad-option` when that is no package name, `not-found` when it is not installed.
 */
export async function packageDirectory(spec: string): Promise<string> {
  const { findPackage } = await import('./find-package.ts')
  return findPackage(spec)
}
