import { ReallmError } from '../../core/errors.ts'

/** Paths that begin so are files in a page's memory, see `usePageFiles`. */
export const pageRoot = 'memory:/'

/** Stand-ins for modules of Node, see `usePageFiles`. */
let provided: Readonly<Record<string, object>> = {}

/** Lets `nodeModule` find something where there is no Node. */
export function provideModules(modules: Readonly<Record<string, object>>): void {
  provided = modules
}

/**
 * A module of Node without an import that bundlers for pages would try to resolve.
 * Throws `unsupported` where there is none.
 */
export function nodeModule(id: 'fs/promises'): typeof import('node:fs/promises')
export function nodeModule(id: 'path'): typeof import('node:path')
export function nodeModule(id: 'crypto'): typeof import('node:crypto')
export function nodeModule(id: 'module'): typeof import('node:module')
export function nodeModule(id: 'url'): typeof import('node:url')
export function nodeModule(id: string): object {
  const found = hasNode() ? process.getBuiltinModule(`node:${id}`) : provided[id]
  if (!found) {
    throw new ReallmError(
      'unsupported',
      `node:${id} is not available here, so files cannot be opened by path`,
      {
        hint: 'in a page, pass a URL to openModel or dropped files to openFiles',
      },
    )
  }
  return found
}

/** Whether the modules of Node (or of a runtime that has them) can be used. */
export const hasNode = (): boolean =>
  typeof process !== 'undefined' && typeof process.getBuiltinModule === 'function'
