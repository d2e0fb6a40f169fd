import { after } from 'node:test'
import { type Device, openDevice } from '../runtime/index.js'

/** One thread of the processor, until all tests of the file have ended. To be awaited before the first test: the runner ends when all it knows of have. */
export async function testDevice(): Promise<Device> {
  const device = await openDevice('cpu', { threads: 1 })
  after(() => device.dispose())
  return device
}
