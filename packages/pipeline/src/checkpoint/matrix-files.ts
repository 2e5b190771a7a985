import { type Matrix, writeFileAtomic } from '@reallm/tensor-io'
import { join, readFile } from '#platform'

/** Matrices kept in files of a directory, by name. */
export interface MatrixFiles {
  write(name: string, m: Matrix): Promise<void>
  read(name: string): Promise<Matrix>
}

/** A directory of matrices, each raw float32 behind two 32-bit sizes. */
export function matrixFiles(folder: string): MatrixFiles {
  const path = (name: string) => join(folder, `${name}.f32`)
  return {
    async write(name, { rows, cols, data }) {
      const bytes = new Uint8Array(8 + data.byteLength)
      new Uint32Array(bytes.buffer, 0, 2).set([rows, cols])
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 8)
      await writeFileAtomic(path(name), bytes)
    },
    async read(name) {
      const { buffer } = new Uint8Array(await readFile(path(name)))
      const [rows, cols] = new Uint32Array(buffer, 0, 2)
      return { rows, cols, data: new Float32Array(buffer, 8) }
    },
  }
}
