import type { OnnxRuntime } from '../onnxruntime.js'

/** Loads the runtime: its WebAssembly build for the device `wasm`, else the native one. */
export async function loadOnnxRuntime(device: string, threads: number): Promise<OnnxRuntime> {
  if (device !== 'wasm') {
    const { default: node } = await import('onnxruntime-node')
    // What goes wrong is thrown; on the terminal it would only disturb.
    node.env.logLevel = 'fatal'
    return { ...node, native: true, providers: node.listSupportedBackends().map(({ name }) => name) }
  }
  const web = await import('onnxruntime-web')
  web.env.wasm.numThreads = threads
  return { ...web, native: false, providers: ['wasm'] }
}
