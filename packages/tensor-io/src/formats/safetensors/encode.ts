import { type Tensor, tensorBytes } from '../../core/tensor.ts'
import { layOut } from './layout.ts'

/**
 * A safetensors file in memory, byte for byte what `writeSafetensors` writes.
 *
 * @example
 * const bytes = encodeSafetensors({ bias: tensor('F32', [2], Float32Array.of(1, 2)) }, { format: 'pt' })
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { header, positions, bytes } = layOut(tensors, metadata)
  const file = new Uint8Array(bytes)
  file.set(header)
  for (const [name, position] of positions) file.set(tensorBytes(tensors[name]), position)
  return file
}
