const kept = new Map<string, GPU>()

/** Dawn with a backend (`vulkan`, or `null`, which compiles and computes nothing); held as long as the process runs, because Dawn does not survive that its GPU is collected. */
export async function dawn(backend: 'vulkan' | 'null'): Promise<GPU> {
  const { create, globals } = await import('webgpu')
  Object.assign(globalThis, globals)
  const gpu = kept.get(backend) ?? create([`backend=${backend}`])
  kept.set(backend, gpu)
  return gpu
}
