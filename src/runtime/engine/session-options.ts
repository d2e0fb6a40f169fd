import type { InferenceSession } from 'onnxruntime-common'
import type { ModelSpec } from './engine-calls.js'

/** Options of a session for inference or training. */
export function sessionOptions(
  threads: number,
  { settled, double, folder, onDevice = [] }: ModelSpec,
): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // What is settled has an order of nodes that keeps the peak of memory low, and weights that it makes float32 where they
    // are used: the optimiser would move the ones and compute the others when it loads the model. Above the basic level
    // operators are joined into ones that compute in f32 alone.
    graphOptimizationLevel: settled ? 'disabled' : double ? 'basic' : 'all',
    // Planned memory is one more block as large as the peak, held beside what the first run took; it saves no time.
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(onDevice.length > 0 && {
      preferredOutputLocation: Object.fromEntries(onDevice.map(name => [name, 'gpu-buffer' as const])),
    }),
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
      },
    },
  }
}

/** The runtime's name of a device's provider. */
export const executionProviders = (device: string): string[] => [device === 'directml' ? 'dml' : device]
