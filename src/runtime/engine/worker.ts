import { workerSide } from '#platform'
import { Engine } from './engine.js'
import { buffersIn, type Reply, type Request } from './engine-calls.js'

const link = workerSide()
const engine = new Engine()

link.onMessage(async message => {
  const { id, method, args } = message as Request
  try {
    const result = await (engine[method] as (...args: unknown[]) => Promise<unknown>).apply(engine, [...args])
    link.post({ id, result } satisfies Reply, [...buffersIn(result)])
  } catch (error) {
    const { name, message: text } = error instanceof Error ? error : new Error(String(error))
    link.post({ id, error: { name, message: text } } satisfies Reply, [])
  }
})
