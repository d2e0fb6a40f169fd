import { modelBytes, nodeMessage, valueMessage } from '../compiler/onnx.js'
import type { Target } from '../compiler/target.js'
import type { DeviceHost } from './device-host.js'
import type { RemoteEngine } from './engine/remote-engine.js'
import { hostTensor } from './host-tensor.js'

const known = new WeakMap<RemoteEngine, Promise<number | undefined>>()

/**
 * What a program is compiled for on a device. Only training arranges weights for the runtime's blocks itself; for
 * inference the runtime does.
 */
export async function targetOf({ engine, target }: DeviceHost, training: boolean): Promise<Target> {
  if (!training || target.device !== 'cpu' || target.double) return { ...target, training }
  const block = known.get(engine) ?? channelBlock(engine)
  known.set(engine, block)
  return { ...target, training, channelBlock: await block }
}

/**
 * How many channels the runtime's own convolutions take side by side on this processor: what the smallest image has after
 * it was put into their layout; undefined where they have none.
 */
export async function channelBlock(engine: RemoteEngine): Promise<number | undefined> {
  const domain = 'com.microsoft.nchwc'
  const bytes = modelBytes({
    nodes: [nodeMessage('y', 'ReorderInput', ['x'], ['y'], {}, domain)],
    initialisers: [],
    inputs: [valueMessage('x', 'f32', [1, 4, 1, 1])],
    outputs: [valueMessage('y', 'f32', [1, -1, 1, 1])],
    domains: [domain],
  })
  const model = { bytes, externalData: [], folder: undefined, settled: true, double: false }
  try {
    const session = await engine.call('createSession', [model])
    const { y } = await engine.call('run', [session, { x: hostTensor(new Float32Array(4), [1, 4, 1, 1]) }])
    await engine.call('releaseSession', [session])
    return y!.shape[1]
  } catch {
    return undefined
  }
}
