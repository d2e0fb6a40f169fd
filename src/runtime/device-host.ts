import type { Target } from '../compiler/target.js'
import type { RemoteEngine } from './engine/remote-engine.js'
import type { MemoryLimits } from './footprint.js'

/** An opened device, as everything that compiles for it needs it. */
export interface DeviceHost {
  readonly name: string
  readonly engine: RemoteEngine
  target: Omit<Target, 'training'>
  readonly filesOnDisk: boolean
  /** Where the device tells them. */
  limits?: MemoryLimits
}
