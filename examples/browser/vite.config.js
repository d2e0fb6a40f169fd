import { defineConfig } from 'vite'

// Threads need shared memory, which browsers give to pages with these headers alone: send them from your server too.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export default defineConfig({
  server: { headers },
  preview: { headers },
  // The worker loads parts of itself when it knows the device.
  worker: { format: 'es' },
  // The model, the worker and the WebAssembly lie beside the modules that ask for them, and stay there.
  optimizeDeps: { exclude: ['latentkit', 'onnxruntime-web'] },
})
