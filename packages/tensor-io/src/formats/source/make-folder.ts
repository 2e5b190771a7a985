import { nodeModule } from './node.ts'

/**
 * Makes a directory and those above it. Node's own way, `recursive`, does not end where the one above is there and none can be
 * made in it all the same, as in `/proc`.
 */
export async function makeFolder(path: string): Promise<void> {
  const { mkdir, stat } = nodeModule('fs/promises')
  const above = nodeModule('path').dirname(path)
  const make = () =>
    mkdir(path).catch(async (error: unknown) => {
      const found = await stat(path).catch(() => undefined)
      if (!found?.isDirectory()) throw error
    })
  try {
    await make()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error
    await makeFolder(above)
    await make()
  }
}
