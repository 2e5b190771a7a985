import { backendConformance } from '../../../test/conformance/index.ts'
import { wasmBackend } from './wasm-backend.ts'

const options = {
  exact: 'f32',
  tolerance: 1e-4,
  forms: { f32: 1e-4, packed: 1e-4, expanded: 1e-2 },
  blocks: { expanded: 1e-4 },
} as const

backendConformance('wasm', () => wasmBackend(), options)
backendConformance('wasm on two threads', () => wasmBackend({ threads: 2 }), {
  ...options,
  parts: ['ops', 'layouts'],
})
backendConformance('wasm with keys and values of 8 bits', () => wasmBackend({ kvCache: 'int8' }), {
  ...options,
  tolerance: 2e-2,
  parts: ['ops'],
})
