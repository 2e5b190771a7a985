const kept = new Map<string, GPU>()

/**
 * Dawn with a backend (`vulkan`, or `null`, which compiles and computes nothing); held as long as the process runs, because Dawn does
 * not survive that its GPU is collected. Memory of workgroups begins as it is: zeroing it is most of what a software adapter has to
 * compile, and no kernel counts on it.
 */
export async function dawn(backend: 'vulkan' | 'null'): Promise<GPU> {
  const { create, globals } = await import('webgpu')
  Object.assign(globalThis, globals)
  const gpu =
    kept.get(backend) ?? create([`backend=${backend}`, 'enable-dawn-features=disable_workgroup_init'])
  kept.set(backend, gpu)
  return gpu
}
