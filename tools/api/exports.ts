import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import ts from 'typescript'
import { root } from '../results/schema.ts'

/** Something that users can import. */
export interface Export {
  readonly name: string
  /** As it is declared, without comments and bodies. */
  readonly declaration: string
  /** Whether a docstring says what it is. */
  readonly isDocumented: boolean
  /** Where it is declared, from the root. */
  readonly file: string
}

/** An entry point of a published package (`@reallm/eval/layers`), and what it exports, by name. */
export interface Entry {
  readonly specifier: string
  readonly exports: readonly Export[]
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly exports?: Record<string, string | Record<string, string>>
}

/** Everything that the published packages export, by folder in `packages`, read from the types that they are built to. */
export function publishedApi(): Map<string, Entry[]> {
  const entries: { folder: string; specifier: string; types: string }[] = []
  for (const folder of readdirSync(join(root, 'packages'))) {
    const path = join(root, 'packages', folder)
    const manifest: Manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    if (manifest.private) continue
    for (const [key, target] of Object.entries(manifest.exports ?? {})) {
      if (typeof target === 'string' || key.includes('*')) continue
      const types = join(path, target.types)
      if (!existsSync(types)) throw new Error(`${types} is not built: npm run setup`)
      entries.push({ folder, specifier: manifest.name + key.slice(1), types })
    }
  }
  const program = ts.createProgram(
    entries.map(({ types }) => types),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      noLib: true,
      types: [],
    },
  )
  const checker = program.getTypeChecker()
  const api = new Map<string, Entry[]>()
  for (const { folder, specifier, types } of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(types)!)
    const exports = module ? checker.getExportsOfModule(module).map(symbol => exportOf(symbol, checker)) : []
    exports.sort((a, b) => (a.name < b.name ? -1 : 1))
    api.set(folder, [...(api.get(folder) ?? []), { specifier, exports }])
  }
  return api
}

const printer = ts.createPrinter({ removeComments: true })

function exportOf(symbol: ts.Symbol, checker: ts.TypeChecker): Export {
  const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const [first] = declared.declarations ?? []
  if (!first) throw new Error(`${symbol.name} cannot be resolved: npm run setup`)
  const file = relative(root, first.getSourceFile().fileName)
  if (ts.isSourceFile(first)) {
    return { name: symbol.name, declaration: `namespace of ${file}`, isDocumented: true, file }
  }
  const declaration = declared
    .declarations!.map(each => {
      const whole = ts.isVariableDeclaration(each) ? each.parent.parent : each
      return printer.printNode(ts.EmitHint.Unspecified, whole, each.getSourceFile())
    })
    .join('\n')
  const isDocumented = declared.getDocumentationComment(checker).length > 0
  return { name: symbol.name, declaration, isDocumented, file }
}
