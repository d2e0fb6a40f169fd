import type { OnnxRuntime } from '../onnxruntime.js'

interface Gpu {
  requestAdapter(): Promise<{ readonly limits: { readonly maxBufferSize: number } } | null>
}

/** Loads the runtime: with WebGPU or, smaller, for WebAssembly alone. */
export async function loadOnnxRuntime(device: string, threads: number): Promise<OnnxRuntime> {
  const web = device === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm')
  // Without cross-origin isolation there is no shared memory for threads.
  web.env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1
  const runtime = { ...web, native: false }
  if (device !== 'webgpu') return { ...runtime, providers: ['wasm', 'cpu'] }
  const adapter = await (navigator as { gpu?: Gpu }).gpu?.requestAdapter()
  if (!adapter) return { ...runtime, providers: ['wasm', 'cpu'] }
  return { ...runtime, providers: ['webgpu'], largestBuffer: adapter.limits.maxBufferSize }
}
