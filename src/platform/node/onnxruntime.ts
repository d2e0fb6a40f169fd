import type { OnnxRuntime } from '../onnxruntime.js'

/** Loads the runtime: its WebAssembly build for the device `wasm`, else the native one. */
export async function loadOnnxRuntime(device: string, threads: number): Promise<OnnxRuntime> {
  if (device !== 'wasm') return { ...(await import('onnxruntime-node')).default, fillsOutputs: true }
  const web = await import('onnxruntime-web')
  web.env.wasm.numThreads = threads
  return { ...web, fillsOutputs: false }
}
