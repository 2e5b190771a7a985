import type { Buffers, Dispatch, Prepared } from './build.ts'
import type { Device } from './device.ts'
import type { GpuState } from './state.ts'

/** Writes a pass of dispatches, for so many tokens whose keys are split into so many parts. */
export function encode(
  encoder: GPUCommandEncoder,
  dispatches: readonly Dispatch[],
  state: GpuState,
  tokens: number,
  parts: number,
): void {
  const pass = encoder.beginComputePass()
  for (const dispatch of dispatches) {
    pass.setPipeline(dispatch.pipeline)
    pass.setBindGroup(0, dispatch.group(state))
    pass.dispatchWorkgroups(...dispatch.workgroups(tokens, parts))
  }
  pass.end()
}

/** Compiles a dispatch's shader and binds its buffers; those of a state again when it has others. */
export async function build(device: Device, prepared: Prepared, buffers: Buffers): Promise<Dispatch> {
  const { code, name, bind, needsState, workgroups } = prepared
  const pipeline = await device.pipeline(code)
  const make = (state: GpuState) => bindGroup(device, pipeline, bind(buffers, state))
  if (!needsState) {
    const whole = bindGroup(device, pipeline, bind(buffers, undefined!))
    return { name, pipeline, workgroups, group: () => whole }
  }
  const groups = new WeakMap<GpuState, { buffers: readonly GPUBuffer[]; group: GPUBindGroup }>()
  const group = (state: GpuState) => {
    const known = groups.get(state)
    if (known?.buffers === state.buffers) return known.group
    const made = { buffers: state.buffers, group: make(state) }
    groups.set(state, made)
    return made.group
  }
  return { name, pipeline, workgroups, group }
}

export function bindGroup(
  { gpu }: Device,
  pipeline: GPUComputePipeline,
  bindings: readonly (readonly [binding: number, buffer: GPUBuffer, offset?: number, size?: number])[],
): GPUBindGroup {
  const entries = bindings.map(([binding, buffer, offset = 0, size = buffer.size - offset]) => ({
    binding,
    resource: { buffer, offset, size: Math.min(size, buffer.size - offset) },
  }))
  return gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries })
}
