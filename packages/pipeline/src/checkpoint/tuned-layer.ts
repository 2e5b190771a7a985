import { bytesSource, encodeSafetensors, openSafetensors, type Tensor } from '@reallm/tensor-io'
import type { Journal } from './journal.ts'

/** What the tuning of a block changed. */
export interface TunedBlock {
  /** Parts that take the place of a stored matrix's, by module; dtypes and shapes are the same. */
  readonly parts: ReadonlyMap<string, Readonly<Record<string, Tensor>>>
  /** Norms, by the names of their tensors. */
  readonly norms: ReadonlyMap<string, Tensor>
}

/** The tuned blocks of a run, in its journal. */
export interface TunedBlocks {
  read(block: number): Promise<TunedBlock | undefined>
  /** A block is there entirely or not at all. */
  write(block: number, tuned: TunedBlock): Promise<void>
}

export function tunedBlocks(journal: Journal): TunedBlocks {
  const fileOf = (block: number) => `tuned-${block}.safetensors`
  return {
    async read(block) {
      const bytes = await journal.read(fileOf(block))
      if (!bytes) return undefined
      const file = await openSafetensors(bytesSource(fileOf(block), bytes))
      const parts = new Map<string, Record<string, Tensor>>()
      const norms = new Map<string, Tensor>()
      for (const name of file.tensors.keys()) {
        const [module, part] = name.split(':')
        if (part === undefined) norms.set(name, await file.read(name))
        else parts.set(module, { ...parts.get(module), [part]: await file.read(name) })
      }
      return { parts, norms }
    },
    async write(block, { parts, norms }) {
      const tensors: Record<string, Tensor> = Object.fromEntries(norms)
      for (const [module, of] of parts) {
        for (const [part, tensor] of Object.entries(of)) tensors[`${module}:${part}`] = tensor
      }
      await journal.write(fileOf(block), encodeSafetensors(tensors))
    },
  }
}
