import type { OnnxRuntime } from '../onnxruntime.js'

/** Loads the runtime: with WebGPU or, smaller, for WebAssembly alone. */
export async function loadOnnxRuntime(device: string, threads: number): Promise<OnnxRuntime> {
  const web = device === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm')
  // Without cross-origin isolation there is no shared memory for threads.
  web.env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1
  return { ...web, fillsOutputs: false }
}
