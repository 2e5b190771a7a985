import { webgpuConformance } from '../../../test/conformance/webgpu.ts'

// Apart from ops and layouts, so that two workers share what takes minutes on a software adapter.
await webgpuConformance(['models'])
